"""libvips in worker processes: known loaders only, no thread before its time, safe to fork."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from imageproc.images.compress.engine import vips

_PRELUDE = """
import os, signal, resource
from tests.support import pictures
from imageproc.images.presets import PRESETS
from imageproc.images.compress import Budget, Rendition, compress
def once(data):
    return isinstance(compress(data, PRESETS["catalog"].recipe, Budget()), Rendition)
def forked(work):
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
data = pictures.jpeg(1, (1000, 800))
"""


def _python(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + script],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_starts_no_thread_and_a_forked_worker_can_compress() -> None:
    out = _python("""
import pyvips
print(len(os.listdir("/proc/self/task")))
print([forked(lambda: 0 if once(data) else 1) for _ in range(2)])
""")
    assert out.split("\n") == ["1", "[0, 0]"]


def test_a_fork_after_use_is_an_error_and_not_a_hang() -> None:
    out = _python("""
assert once(data)
def inherited():
    try:
        once(data)
    except RuntimeError as error:
        return 7 if "forked" in str(error) else 1
    return 2
print(forked(inherited))
""")
    assert out == "7"


@pytest.mark.parametrize(
    "loader",
    ["svgload_buffer", "csvload", "rawload", "vipsload", "jpegload", "jpegload_buffer"],
)
def test_loaders_we_do_not_need_are_blocked(loader: str, tmp_path: Path) -> None:
    engine = vips()
    target = tmp_path / "file"
    target.write_bytes(b"<svg/>")
    more = [4, 4, 3] if loader == "rawload" else []
    argument = b"<svg/>" if loader.endswith("_buffer") else str(target)
    with pytest.raises(engine.Error, match="blocked"):
        getattr(engine.Image, loader)(argument, *more)


def test_large_photographs_fit_in_a_worker() -> None:
    """Peak memory of a process that compresses 22-megapixel photographs one after the other."""
    out = _python("""
picture = pictures.draw(1, (1440, 960)).resize((5760, 3840))
files = [pictures.encoded(picture, "JPEG")]
del picture
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
work = lambda: 0 if all(once(each) for each in files * 4) else 1
assert forked(work) == 0
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
""")
    assert int(out) <= 300
