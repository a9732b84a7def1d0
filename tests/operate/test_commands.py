"""The command line: process, demo, prune, sweep; and the page of the settings."""

from __future__ import annotations

import csv
import io
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from rest_framework.serializers import BooleanField, ChoiceField

from imageproc.api.serializers import UploadSerializer
from imageproc.faults import NOT_AN_IMAGE, NOT_FOUND
from imageproc.images import store
from imageproc.intake import Options
from imageproc.management.upload_options import add_upload_options, upload_options
from imageproc.models import ProcessingRequest, ProductImage
from tests.support import build, pictures
from tests.support.origin import Origin
from tests.support.sheet import sheet_of
from tests.workers.harness import MANAGE, wait_for

ROOT = MANAGE.parent
# Values of options for which a number or a plain text is none.
VALUES = {
    "background": "#0a0b0c",
    "baseUrl": "http://shop.example/",
    "columns": '{"images": ["Image Src"]}',
    "margin": "5",
    "trim": "20",
    "webhookUrl": "http://shop.example/hook",
    **dict.fromkeys(
        ("dryRun", "keepCopyright", "refresh", "sharpen", "statusColumn", "storeOriginals"), "true"
    ),
}


def test_the_settings_page_names_every_setting() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"(\w+)"', (ROOT / "config" / "settings.py").read_text()))
    named = re.findall(r"(?m)^\| `(\w+)` \|", (ROOT / "docs" / "settings.md").read_text())
    assert len(read) > 50
    assert sorted(named) == sorted(read)


class TestProcess:
    def start(self, folder: Path, sheet: Path, origin: Origin) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(MANAGE), "process", str(sheet), "--out", str(folder / "out")],
            env=os.environ
            | {
                "DATA_DIR": str(folder / "data"),
                "OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8",
                "OUTBOUND_ALLOW_PORTS": str(origin.port),
                "WORKERS": "1",
                "DRAIN_SECONDS": "6",
                "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def done(self, folder: Path) -> int:
        """Images that are COMPLETED."""
        with (
            suppress(sqlite3.OperationalError),  # no tables yet
            closing(sqlite3.connect(f"file:{folder}/db.sqlite3?mode=ro", uri=True)) as database,
        ):
            sql = "SELECT count(*) FROM imageproc_productimage WHERE status = 'COMPLETED'"
            return int(database.execute(sql).fetchone()[0])
        return 0

    def test_stopped_and_begun_again_it_goes_on_where_it_was(
        self, tmp_path: Path, origin: Origin
    ) -> None:
        """Half of the pictures come at once; the others not before the second run."""
        picture = pictures.jpeg(1, (320, 240))
        quick = [f"/quick-{n}.jpg" for n in range(6)]
        late = [f"/late-{n}.jpg" for n in range(6)]
        for path in (*quick, *late):
            delay = 60_000 if path in late else 0
            origin.serve(path, picture, content_type="image/jpeg", delay_ms=delay)
        urls = [origin.url + path for path in (*quick, *late, "/gone.jpg")]
        sheet = tmp_path / "products.csv"
        sheet.write_text(sheet_of([[str(n), f"Shoe {n}", url] for n, url in enumerate(urls)]))
        first = self.start(tmp_path, sheet, origin)
        wait_for(lambda: self.done(tmp_path) == 6, 90)
        first.send_signal(signal.SIGTERM)
        _, said = first.communicate(timeout=90)
        assert first.returncode == 130, said
        assert "Run the same command again to continue." in said
        for path in late:
            origin.serve(path, picture, content_type="image/jpeg")
        second = self.start(tmp_path, sheet, origin)
        _, said = second.communicate(timeout=120)
        assert second.returncode == 3, said  # one link is broken
        assert [origin.hits[path] for path in quick] == [1] * 6
        rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "output.csv").read_text())))
        assert [row["Status"] for row in rows] == ["COMPLETED"] * 12 + ["FAILED"]
        files = {tmp_path / "out" / row["Output Image Urls"] for row in rows[:12]}
        assert set((tmp_path / "out" / "images").iterdir()) == files
        assert all(file.stat().st_size > 0 for file in files)

    def test_killed_it_leaves_no_workers_behind(self, tmp_path: Path, origin: Origin) -> None:
        origin.serve("/late.jpg", b"", content_type="image/jpeg", delay_ms=60_000)
        sheet = tmp_path / "products.csv"
        sheet.write_text(sheet_of([["1", "Shoe", f"{origin.url}/late.jpg"]]))
        process = self.start(tmp_path, sheet, origin)
        wait_for(lambda: origin.hits["/late.jpg"] == 1, 90)
        tree = psutil.Process(process.pid).children(recursive=True)
        assert len(tree) > 5  # a supervisor and two clusters
        process.kill()
        process.communicate(timeout=10)
        _, alive = psutil.wait_procs(tree, timeout=10)
        assert alive == []

    @pytest.mark.parametrize("name", UploadSerializer().fields)
    def test_it_has_every_option_of_an_upload(self, name: str) -> None:
        """Each is read or refused as by the API, which declares them."""
        field = UploadSerializer().fields[name]
        value = VALUES.get(name) or str(getattr(field, "min_value", None) or "Sheet 2")
        if isinstance(field, ChoiceField):
            value = list(field.choices)[-1]
        api = UploadSerializer(data={name: value})
        parser = CommandParser()
        add_upload_options(parser)
        flag = "--" + re.sub("[A-Z]", lambda capital: "-" + capital[0].lower(), name)
        arguments = [flag] if isinstance(field, BooleanField) else [flag, value]
        chosen = vars(parser.parse_args(arguments))
        if api.is_valid():
            assert upload_options(chosen) == api.options()
            assert name == "dryRun" or api.options() != Options()
        else:
            with pytest.raises(CommandError, match=flag):
                upload_options(chosen)

    @pytest.mark.django_db
    def test_a_refused_option_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match=r"--quality: .*100") as refused:
            call_command("process", "products.csv", quality=101)
        assert refused.value.returncode == 2

    @pytest.mark.django_db
    def test_a_refused_file_is_told_by_line(self, tmp_path: Path) -> None:
        sheet = tmp_path / "bad.csv"
        sheet.write_text("S. No.,Product Name,Input Image Urls\n1,Shoe,not-a-link\n")
        with pytest.raises(CommandError, match="row 2: ") as refused:
            call_command("process", str(sheet))
        assert refused.value.returncode == 2


def test_the_demo_processes_the_sample(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(MANAGE), "demo"],
        env=os.environ | {"DATA_DIR": str(tmp_path), "DATABASE_URL": "sqlite://:memory:"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    broken, no_picture, where = done.stdout.splitlines()
    assert broken == f"Broken link: {NOT_FOUND.sentence}"
    assert no_picture == f"Not a picture: {NOT_AN_IMAGE.sentence}"
    assert where.endswith(f"{tmp_path}/demo/results")
    assert len(list((tmp_path / "demo" / "results" / "images").iterdir())) == 12


@pytest.mark.django_db(transaction=True)
class TestPrune:
    def old(self, days: int) -> ProcessingRequest:
        ended = timezone.now() - timedelta(days=days)
        request = build.request(2, status="FAILED", completed_at=ended)
        store.put(f"{request.id}/a.jpg", b"x", "image/jpeg")
        return request

    def test_old_requests_go_with_rows_and_files(self) -> None:
        gone, kept, running = self.old(91), self.old(89), build.request(1)
        out = io.StringIO()
        call_command("prune", "--older-than", "90d", stdout=out)
        assert out.getvalue().splitlines()[-1] == "1 requests removed in all."
        assert not ProductImage.objects.filter(request=gone).exists()
        assert store.size(f"{gone.id}/a.jpg") is None
        assert store.size(f"{kept.id}/a.jpg") is not None
        ids = set(ProcessingRequest.objects.kept().values_list("id", flat=True))
        assert ids == {kept.id, running.id}

    def test_a_dry_run_removes_nothing(self) -> None:
        self.old(91)
        out = io.StringIO()
        call_command("prune", "--older-than", "12w", "--dry-run", stdout=out)
        assert out.getvalue() == "1 requests would be removed.\n"
        assert ProcessingRequest.objects.kept().count() == 1

    @pytest.mark.parametrize("text", ["90", "x", "9y", "-1d"])
    def test_a_span_is_a_number_and_a_unit(self, text: str) -> None:
        with pytest.raises((CommandError, SystemExit)):
            call_command("prune", f"--older-than={text}")


@pytest.mark.django_db(transaction=True)
def test_sweep_tells_what_it_did(settings: Any) -> None:
    build.request(1)
    out = io.StringIO()
    call_command("sweep", stdout=out)
    said = dict(line.split(": ") for line in out.getvalue().splitlines())
    assert said["returned"] == "0"
    assert said["leftovers"] == "0"
