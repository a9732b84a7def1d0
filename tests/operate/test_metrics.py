"""The numbers of /metrics, and that they add up over processes that come and go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from imageproc.faults import NOT_FOUND
from imageproc.images import claim, record, sweep
from imageproc.images.outcome import Failed
from imageproc.metrics import processes
from imageproc.metrics.exposition import exposition
from imageproc.models import ClusterHeartbeat, MinuteTally, ProductImage, Switch
from imageproc.requests.report.gauges import ServiceState
from tests.support import build
from tests.support.servers.process import free_ports
from tests.workers.harness import MANAGE

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape() -> Samples:
    return parse(exposition("", ServiceState())[0].decode())


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, tuple(sorted(labels.items()))), 0.0)


@pytest.mark.django_db(transaction=True)
class TestFigures:
    def test_what_the_pipeline_did_is_counted(self) -> None:
        before = scrape()
        build.request(3)
        jobs = claim.claim(50)
        record.record([build.done(jobs[0]), build.done(jobs[1]), Failed(jobs[2], NOT_FOUND, 5)])
        after = scrape()

        def grew(name: str, **labels: str) -> float:
            return value(after, name, **labels) - value(before, name, **labels)

        assert grew("imageproc_claimed_images_total") == 3
        assert grew("imageproc_attempts_total", outcome="completed") == 2
        assert grew("imageproc_attempts_total", outcome="not_found") == 1
        assert grew("imageproc_images_total", outcome="completed") == 2
        assert grew("imageproc_images_total", outcome="not_found") == 1
        assert grew("imageproc_image_bytes_total", direction="in") == 4000
        assert grew("imageproc_image_bytes_total", direction="out") == 1000
        assert grew("imageproc_image_step_seconds_count", step="compress") == 2
        assert grew("imageproc_image_step_seconds_sum", step="compress") == pytest.approx(0.06)
        assert grew("imageproc_image_step_seconds_bucket", step="fetch", le="0.005") == 2

    def test_an_outcome_that_changed_nothing_is_not_counted(self) -> None:
        build.request(1)
        (job,) = claim.claim(50)
        ProductImage.objects.update(lease_id=job.request_id)
        before = scrape()
        assert record.record([build.done(job)]).written == 0
        for name in ("imageproc_attempts_total", "imageproc_images_total"):
            assert value(scrape(), name, outcome="completed") == value(
                before, name, outcome="completed"
            )

    def test_expired_leases_are_counted(self) -> None:
        build.request(2)
        claim.claim(50)
        ProductImage.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        before = value(scrape(), "imageproc_leases_expired_total")
        sweep.return_expired()
        assert value(scrape(), "imageproc_leases_expired_total") - before == 2

    def test_the_queue_is_reported_by_priority(self) -> None:
        build.request(3, priority="high", completed_images=1)
        build.request(2, priority="low", status="PENDING", created_at=timezone.now())
        build.request(
            5, status="COMPLETED", completed_images=5, output_csv="k", completed_at=timezone.now()
        )
        ago = timezone.now() - timedelta(seconds=100)
        ProductImage.objects.filter(request__priority="high").update(next_attempt_at=ago)
        samples = scrape()
        assert [
            value(samples, "imageproc_queue_images", priority=p) for p in ("high", "normal", "low")
        ] == [2, 0, 2]
        assert 100 <= value(samples, "imageproc_queue_oldest_seconds", priority="high") < 130
        assert value(samples, "imageproc_queue_oldest_seconds", priority="normal") == 0
        assert 0 <= value(samples, "imageproc_queue_oldest_seconds", priority="low") < 30

    def test_a_retry_that_waits_for_its_time_is_not_late(self) -> None:
        build.request(1)
        ProductImage.objects.update(next_attempt_at=timezone.now() + timedelta(hours=1))
        assert value(scrape(), "imageproc_queue_oldest_seconds", priority="normal") == 0

    def test_workers_switches_and_database(self) -> None:
        ClusterHeartbeat.objects.beat(name="images", host="a", pid=1, workers=4)
        ClusterHeartbeat.objects.beat(name="images", host="b", pid=1, workers=2)
        ClusterHeartbeat.objects.beat(name="images", host="c", pid=1, workers=8, stopping=True)
        Switch.objects.set_paused(Switch.WORKERS, True)
        samples = scrape()
        assert value(samples, "imageproc_workers", cluster="images") == 6
        assert value(samples, "imageproc_workers", cluster="control") == 0
        assert value(samples, "imageproc_paused", switch="workers") == 1
        assert value(samples, "imageproc_paused", switch="intake") == 0
        assert samples["imageproc_database_up", ()] == 1

    def test_a_minute_is_tallied_once_a_commit_and_by_reason(self) -> None:
        build.request(4)
        jobs = claim.claim(50)
        record.record([build.done(jobs[0]), Failed(jobs[1], NOT_FOUND)])
        record.record([build.done(jobs[2]), build.done(jobs[3])])
        rows = MinuteTally.objects.order_by("code").values_list(
            "code", "images", "bytes_in", "bytes_out"
        )
        assert list(rows) in (
            [("", 3, 6000, 1500), ("not_found", 1, 0, 0)],
            # The minute changed between the two.
            [("", 1, 2000, 500), ("", 2, 4000, 1000), ("not_found", 1, 0, 0)],
        )
        MinuteTally.objects.update(minute=timezone.now() - timedelta(days=9))
        sweep.sweep()
        assert not MinuteTally.objects.exists()


COUNT = """
from imageproc import metrics
metrics.CLAIMED.inc({n})
metrics.STEP_SECONDS.labels("store").observe(1)
print("ready", flush=True)
input()
"""
PRINT = """
from prometheus_client import generate_latest
from imageproc.metrics.processes import registry
print(generate_latest(registry()).decode())
"""


class TestProcesses:
    def child(self, folder: Path, code: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", f"import django; django.setup()\n{code}"],
            env={
                **os.environ,
                "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
                "DATA_DIR": str(folder),
            },
            cwd=MANAGE.parent,
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )

    def samples_of(self, folder: Path) -> Samples:
        out, _ = self.child(folder, PRINT).communicate(timeout=60)
        return parse(out)

    def test_killed_processes_go_on_counting(self, tmp_path: Path) -> None:
        living = self.child(tmp_path, COUNT.format(n=5))
        killed = [self.child(tmp_path, COUNT.format(n=n)) for n in (1, 2)]
        for process in (living, *killed):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in killed:
            process.send_signal(signal.SIGKILL)
            process.wait()
        samples = self.samples_of(tmp_path)
        assert value(samples, "imageproc_claimed_images_total") == 8
        assert value(samples, "imageproc_image_step_seconds_count", step="store") == 3
        living.communicate("\n")

    @pytest.mark.parametrize(("most", "kept"), [(4, {"living", "dead"}), (3, {"living"})])
    def test_the_files_of_the_dead_do_not_grow_without_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, kept: set[str]
    ) -> None:
        dead = subprocess.Popen(["true"])
        dead.wait()
        pids = {"living": os.getpid(), "dead": dead.pid}
        for pid in pids.values():
            for kind in ("counter", "histogram", "gauge_all", "summary"):
                (tmp_path / f"{kind}_{pid}.db").touch()
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
        monkeypatch.setattr(processes, "MAX_DEAD_FILES", most)
        processes.forget_dead()
        left = {path.stem.rpartition("_")[2] for path in tmp_path.iterdir()}
        assert left == {str(pids[name]) for name in kept}


@pytest.mark.django_db
class TestAccess:
    def test_a_laptop_is_open_and_production_needs_the_token(
        self, client: Client, settings: Any
    ) -> None:
        settings.API_ANONYMOUS = True
        answer = client.get("/metrics")
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain; version=")
        settings.API_ANONYMOUS = False
        assert client.get("/metrics").status_code == 401
        settings.METRICS_TOKEN = "tk"
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer no").status_code == 401
        assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer tk").status_code == 200

    def test_a_request_is_timed_under_its_route(self, client: Client, settings: Any) -> None:
        settings.API_ANONYMOUS = True
        name, labels = (
            "imageproc_http_request_seconds_count",
            {"method": "GET", "route": "healthz", "status": "200"},
        )
        before = value(scrape(), name, **labels)
        client.get("/healthz?x=1")
        client.generic("STRANGE", "/nowhere/" + "x" * 50)
        after = scrape()
        assert value(after, name, **labels) - before == 1
        assert not [key for key in after if "xxxxx" in str(key) or "STRANGE" in str(key)]


def test_a_host_without_a_web_server_answers_on_its_own_port(tree: Any) -> None:
    [port] = free_ports(1)
    running = tree(METRICS_PORT=port).start(roles=14)
    running.kill("images.worker")
    running.wait_for_new("images.worker", set(), 2)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        samples = parse(answer.read().decode())
    assert value(samples, "imageproc_worker_deaths_total", cluster="images") == 2
    assert not [name for name, _ in samples if name == "imageproc_queue_images"]
