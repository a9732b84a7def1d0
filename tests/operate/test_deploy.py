"""Alerts and the Grafana dashboard: valid, and every metric that they name is exported."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils import timezone

from imageproc import metrics
from imageproc.faults import NOT_FOUND
from imageproc.images import claim, record
from imageproc.images.outcome import Failed
from imageproc.metrics.exposition import exposition
from imageproc.requests.report.gauges import ServiceState
from tests.conftest import missing
from tests.support import build

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
NAME = re.compile(r"\bimageproc_[a-z_]+")


@pytest.fixture
def exported(client: Any) -> set[str]:
    """The names of the samples of a scrape after a little of everything has happened."""
    build.request(2)
    jobs = claim.claim(50)
    record.record([build.done(jobs[0]), Failed(jobs[1], NOT_FOUND)])
    metrics.ended([finished_image()])
    metrics.paused("busy", 1.0)
    metrics.WORKER_DEATHS.labels("images").inc()
    metrics.WEBHOOK_ATTEMPTS.labels("http_200").inc()
    client.get("/healthz")
    return {
        line.partition("{")[0].partition(" ")[0]
        for line in exposition("", ServiceState())[0].decode().splitlines()
        if not line.startswith("#")
    }


def finished_image() -> Any:
    from imageproc.models import FinishedImage

    return FinishedImage(timezone.now(), "", 1, 1)


def alerts() -> list[dict[str, Any]]:
    return list(yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"])


@pytest.mark.django_db
def test_every_metric_of_the_alerts_is_exported(exported: set[str]) -> None:
    named = {name for rule in alerts() for name in NAME.findall(rule["expr"])}
    assert len(named) >= 9
    assert named - exported == set()


@pytest.mark.django_db
def test_every_metric_of_the_dashboard_is_exported(exported: set[str]) -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "imageproc.json").read_text())
    exprs = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    named = {name for expr in exprs for name in NAME.findall(expr)}
    assert len(named) >= 14
    assert named - exported == set()
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))


def test_every_alert_says_what_to_do() -> None:
    for rule in alerts():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.parametrize(
    "command",
    [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]],
    ids=["valid", "fire when they must"],
)
def test_promtool(command: list[str]) -> None:
    if shutil.which("promtool") is None:
        missing("promtool is not installed: run tests/support/servers/install-system-packages")
    done = subprocess.run(
        ["promtool", *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
