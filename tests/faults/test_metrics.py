"""A full disk under the metrics: counting must never cost a process its life."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.faults.disk import mounted
from tests.workers.harness import MANAGE

# A process of its own, as the folder is read at the first import; it counts and tells what it has.
COUNT = """
import os, sys, django
django.setup()
from pathlib import Path
from imageproc import metrics
from imageproc.scrape import exposition

folder = Path(os.environ["DATA_DIR"]) / "metrics"
def fill():
    with (folder / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 12))
        except OSError:
            pass
def count(first, last):
    for n in range(first, last):
        metrics.IMAGES.labels(f"code-{n}").inc()
if sys.argv[1] == "before":
    fill()
count(0, 20)
if sys.argv[1] == "between":
    fill()
count(20, 2000)  # more than the first size holds
count(20, 40)
assert metrics.IMAGES.labels("code-30")._value.get() == 2
if os.fork() == 0:  # as the guard does
    count(0, 20)
    os._exit(0)
_, status = os.wait()
text = exposition("")[0].decode()
print(status, text.count('imageproc_images_total{outcome="code-'))
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        missing("only root can mount a tmpfs")
    (tmp_path / "metrics").mkdir()
    with mounted(tmp_path / "metrics", "1m"):
        yield tmp_path


@pytest.mark.parametrize(("full", "kept"), [("never", 2000), ("between", 20), ("before", 0)])
def test_a_full_disk_kills_nobody_who_counts(small: Path, full: str, kept: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNT, full],
        env={**os.environ, "DATA_DIR": str(small)},
        cwd=MANAGE.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    status, told = done.stdout.split()
    assert int(status) == 0
    if full == "never":
        assert int(told) == kept
    else:
        assert kept <= int(told) < 2000
        assert "metrics of this process are not kept: [Errno 28]" in done.stderr
