"""The wheel, installed into a folder of its own: the command runs the service with its pages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from imageproc import __version__
from tests.support.servers.process import leash
from tests.support.servers.service import Service

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    *("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"),
    *("imageproc", "config", "templates", "static"),
)


def run(*command: object, **options: object) -> None:
    subprocess.run(list(map(str, command)), check=True, capture_output=True, **options)  # type: ignore[call-overload]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with the wheel alone; its dependencies are this environment's own."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip")
    build = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path)
    run(*pip, *build, source)
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"imageproc-{__version__}-")
    run(*pip, "install", "--quiet", "--no-deps", "--target", target, wheel)
    return target


class Installed(Service):
    """`imageproc up`, called in a folder that holds nothing."""

    def __init__(self, installed: Path, folder: Path) -> None:
        super().__init__(env={"WORKERS": "1", "WEB_WORKERS": "1", "PYTHONPATH": str(installed)})
        self.script, self.here = installed / "bin" / "imageproc", folder
        for name in ("DATA_DIR", "DJANGO_SETTINGS_MODULE"):
            self.env.pop(name, None)

    def command(self) -> list[str]:
        inside = ["env", "--chdir", str(self.here), str(self.script), "up"]
        return [*leash(), *inside, f"127.0.0.1:{self.port}"]


@pytest.fixture
def service(installed: Path, tmp_path: Path) -> Iterator[Service]:
    here = tmp_path / "here"
    here.mkdir()
    service = Installed(installed, here)
    yield service
    service.close()


def test_the_command_of_the_wheel_runs_the_service(service: Service, tmp_path: Path) -> None:
    service.start()
    page = service.get(f"{service.address}/").text
    styles = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert len(styles) > 2
    for path in styles:
        assert requests.get(service.address + path, timeout=30).status_code == 200, path
    assert (tmp_path / "here" / "var" / "imageproc.sqlite3").exists()
    sample = requests.get(f"{service.address}/static/sample/001.jpg", timeout=30)
    assert sample.headers["Content-Type"] == "image/jpeg"
    service.stop()
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["var"]
