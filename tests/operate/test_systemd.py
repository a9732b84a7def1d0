"""The units of deploy/systemd: valid, and they run what docker-compose.yml runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.shares import EQUAL, shares
from tests.conftest import missing
from tests.operate.test_compose import ROOT, compose, seconds

UNITS = ROOT / "deploy" / "systemd"
HOME = "/opt/imageproc"
# A service of docker-compose.yml → its unit.
UNIT_OF = {
    "prepare": "imageproc-prepare.service",
    "web": "imageproc-web.service",
    "worker": "imageproc-worker@images.service",
    "control": "imageproc-worker@control.service",
}


def settings_of(unit: str) -> dict[str, str]:
    """Of a unit or its template, and of the files that add to it."""
    name, at, instance = unit.removesuffix(".service").partition("@")
    files = [UNITS / f"{name}{at}.service", *(UNITS / f"{unit}.d").glob("*.conf")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    pairs = (line.partition("=") for line in lines if line[:1] not in ("", "#", "["))
    return {key: value.replace("%i", instance) for key, _, value in pairs}


@pytest.mark.parametrize("unit", UNIT_OF.values())
def test_systemd_finds_nothing_wrong(tmp_path: Path, unit: str) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("systemd is not installed: run tests/support/servers/install-system-packages")
    shutil.copytree(UNITS, tmp_path, dirs_exist_ok=True)
    binaries = str(Path(sys.executable).parent)
    for file in tmp_path.glob("*.service"):
        text = file.read_text().replace(f"{HOME}/.venv/bin", binaries).replace(HOME, str(ROOT))
        file.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},  # and systemd's own
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "imageproc" in line]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize(("name", "unit"), UNIT_OF.items())
def test_a_unit_runs_what_the_container_runs(name: str, unit: str) -> None:
    service: dict[str, Any] = compose()["services"][name]
    command = " ".join(service["command"]).replace("0.0.0.0", "127.0.0.1")
    told = settings_of(unit)
    assert told["ExecStart"].removeprefix(f"{HOME}/.venv/bin/") == command
    assert int(told.get("CPUWeight", 100)) == shares()[name] * 100 // EQUAL
    if name != "prepare":
        assert told["Restart"] == "always"
        assert told["KillMode"] == "mixed"
        assert int(told["TimeoutStopSec"]) == seconds(service["stop_grace_period"])
    if cluster := service["environment"].get("Q_CLUSTER_NAME"):
        assert f"Q_CLUSTER_NAME={cluster}" in told["Environment"]


def test_one_cluster_of_a_host_answers_scrapes() -> None:
    assert settings_of(UNIT_OF["worker"])["UnsetEnvironment"] == "METRICS_PORT"
    assert "UnsetEnvironment" not in settings_of(UNIT_OF["control"])
