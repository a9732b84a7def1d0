"""Every command of the documents works as it is written, or has a reason why it is not run here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imageproc.web import sample
from tests.support.servers.service import MANAGE, Service

ROOT = MANAGE.parent
PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"))
)
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELLS = ("sh", "bash", "shell", "console")
# Commands within the text; the name of a program alone is no command.
INLINE = re.compile(r"`((?:manage\.py|imageproc|make|pip|python|gunicorn|docker) [^`]+)`")

# The first words of commands that are not run here, and why.
NOT_RUN = {
    "make": "by .ci/run, or for hours; that there is such a target is checked",
    "docker": "needs a container engine: tests/containers does it",
    "sudo": "changes this machine: tests/operate/test_systemd.py reads what it installs",
    "pip install": "tests/operate/test_wheel.py does it",
    "imageproc up": "tests/operate/test_wheel.py does it",
    "gunicorn": "runs until it is stopped: tests/operate/test_compose.py starts it",
    "manage.py up": "runs until it is stopped: it is the service that this test calls",
    "manage.py worker": "runs until it is stopped: manage.py up starts it",
    "manage.py createsuperuser": "asks for a password: tests/operate/test_admin.py has operators",
    "python -m bench.migrations": "writes a million rows",
    "python -m tests.operate.upgrade": "needs the commit of a release",
}
# Named in the text without what they need.
NAMED = ("manage.py apikey revoke", "manage.py process", "manage.py qcluster")


def commands_of(page: str) -> Iterator[str]:
    """The lines of a page's shell blocks, those that go on in the next one joined to it, and the
    commands within its text."""
    text = (ROOT / page).read_text()
    for language, block in BLOCK.findall(text):
        if language in SHELLS:
            yield from re.sub(r"(\||\\)\n\s*", r"\1 ", block).strip().splitlines()
    for found in INLINE.findall(BLOCK.sub("", text)):
        if found not in NAMED:
            yield re.sub(r"\s+", " ", found)


def reason_for(command: str) -> str:
    """Under which words of NOT_RUN it falls; "" if it is run."""
    return next((words for words in NOT_RUN if f"{command} ".startswith(f"{words} ")), "")


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    service = Service()
    # The sample's pictures are its own.
    service.env |= {"OUTBOUND_ALLOW_PORTS": str(service.port), "WORKERS": "1", "WEB_WORKERS": "1"}
    service.start()
    yield service
    service.stop()
    service.close()


def sheet_for(service: Service) -> bytes:
    """The first three rows of the sample: two of the later ones fail on purpose."""
    lines = sample.sheet(f"{service.address}/static/sample").splitlines(keepends=True)
    return b"".join(lines[:4])


@pytest.fixture(scope="module")
def values(service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a reader puts in the place of the documents' examples."""
    request_id = service.upload(sheet_for(service))["requestId"]
    assert service.finish(request_id)["failedImages"] == 0
    return {
        "http://localhost:8000": service.address,
        "http://127.0.0.1:8000": service.address,
        "ip_…": service.manage("apikey", "create", "reader"),
        "<requestId>": request_id,
        "/backup/": f"{tmp_path_factory.mktemp('backup')}/",
    }


@pytest.fixture
def folder(service: Service, tmp_path: Path) -> Path:
    """The reader's own, with the files that the documents speak of, and commands in `bin`."""
    for name in ("sample.csv", "products.csv"):
        (tmp_path / name).write_bytes(sheet_for(service))
    (tmp_path / "body").write_text('{"type": "request.completed"}')
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / ".curlrc").write_text("fail\nsilent\nshow-error\n")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "manage.py"
    other = shlex.quote(str(tmp_path / "other-machine"))
    program.write_text(
        f'#!/bin/sh\n[ "$1" != import ] || export DATA_DIR={other}\n'
        f'exec {shlex.join([sys.executable, str(MANAGE)])} "$@"\n'
    )
    program.chmod(0o755)
    return tmp_path


def to_run(page: str) -> list[str]:
    """Those of its commands that no page before it has."""
    before = {c for earlier in PAGES[: PAGES.index(page)] for c in commands_of(earlier)}
    found = dict.fromkeys(commands_of(page))
    return [c for c in found if c not in before and not reason_for(c)]


@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page)])
def test_commands_work(page: str, service: Service, values: dict[str, str], folder: Path) -> None:
    script = "\n".join(to_run(page))
    for example, value in values.items():
        script = script.replace(example, value)
    env = service.env | {
        "PATH": f"{folder / 'bin'}:{service.env['PATH']}",
        "CURL_HOME": str(folder),
        # Of the webhook whose signature is computed.
        "SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "WEBHOOK_ID": "msg_1",
        "WEBHOOK_TIMESTAMP": "1768469401",
    }
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {shlex.split(c)[1] for c in commands_of(page) if c.startswith("make ")}
    assert named - targets == set()


def test_each_reason_is_needed() -> None:
    used = {reason_for(command) for page in PAGES for command in commands_of(page)}
    assert used - {""} == set(NOT_RUN)
