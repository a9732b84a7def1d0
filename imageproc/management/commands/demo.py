"""`manage.py process` on the sample catalogue, whose pictures are served on loopback."""

import csv
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from imageproc.management.commands.process import SOME_FAILED
from imageproc.web import sample


class Command(BaseCommand):
    help = "Process the sample catalogue for real, in a database and a folder of its own."

    def handle(self, *args: Any, **options: Any) -> None:
        folder = settings.DATA_DIR / "demo"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with _pictures() as port:
            (folder / "sample.csv").write_bytes(sample.sheet(f"http://127.0.0.1:{port}"))
            code = _process(folder, port)
        if code != SOME_FAILED:
            raise CommandError(f"The sample did not end as it should (exit code {code}).")
        for line in _failures(folder / "results" / "output.csv"):
            self.stdout.write(line)
        self.stdout.write(f"These two fail on purpose. Output CSV and pictures: {folder}/results")


@contextmanager
def _pictures() -> Iterator[int]:
    """Serve the sample's pictures on loopback; the port."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(sample.FOLDER))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def _process(folder: Path, port: int) -> int:
    """Run `process` on the embedded default, allowed to fetch from ``port``. Its exit code."""
    return subprocess.run(  # noqa: S603
        [*settings.MANAGE, "process", "sample.csv", "--out", "results"],
        cwd=folder,
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME", "TERM") if name in os.environ},
            "ENV_FILE": os.devnull,
            "DATA_DIR": str(folder),
            "OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8",
            "OUTBOUND_ALLOW_PORTS": str(port),
        },
        check=False,
    ).returncode


def _failures(output: Path) -> Iterator[str]:
    """Each product that failed, and why."""
    with output.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            if row["Error"]:
                yield f"{row['Product Name']}: {row['Error']}"
