"""Thousands of damaged files, in a process of their own, so that a crash is seen and counted.

600 files in the ordinary suite; IMAGEPROC_CORPUS=5000 runs more. The seed is fixed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

from imageproc.faults import Fault
from imageproc.images.compress import Budget, Recipe, compress
from imageproc.images.presets import PRESETS
from tests.support import pictures

FILES = int(os.environ.get("IMAGEPROC_CORPUS", "600"))
FAMILY = {
    "image_corrupt", "image_truncated", "not_an_image", "format_unsupported",
    "too_many_pixels", "too_complex", "empty_body",
}  # fmt: skip
RECIPES = (
    PRESETS["catalog"].recipe,
    PRESETS["half"].recipe,
    Recipe(format="webp"),
    Recipe(format="png"),
)


def _cut(random: Random, whole: bytes) -> bytes:
    return whole[: random.randrange(len(whole))]


def _flip(random: Random, whole: bytes) -> bytes:
    """Up to 20 bits: in the first 200 bytes, the last 200 (a TIFF's directory), or anywhere."""
    broken = bytearray(whole)
    size = len(whole)
    first, last = random.choice(((0, min(200, size)), (max(0, size - 200), size), (0, size)))
    for _ in range(random.randint(1, 20)):
        broken[random.randrange(first, last)] ^= 1 << random.randrange(8)
    return bytes(broken)


def _overwrite(random: Random, whole: bytes) -> bytes:
    at = random.randrange(len(whole))
    return whole[:at] + random.randbytes(64) + whole[at + 64 :]


def _insert(random: Random, whole: bytes) -> bytes:
    at = random.randrange(len(whole))
    return whole[:at] + random.randbytes(random.randint(1, 300)) + whole[at:]


def _repeat(random: Random, whole: bytes) -> bytes:
    at = random.randrange(len(whole))
    return whole[: at + random.randint(1, 3000)] + whole[at:]


def _remove(random: Random, whole: bytes) -> bytes:
    at = random.randrange(len(whole))
    return whole[:at] + whole[at + random.randint(1, 3000) :]


_DAMAGES = (_cut, _flip, _flip, _overwrite, _insert, _repeat, _remove)


def run(files: int) -> Counter[str]:
    """Compress ``files`` damaged files of every kind; answers by code, "done" for a rendition."""
    random = Random(20_260)
    whole = [make(3, (96, 72)) for make in pictures.VARIANTS.values()]
    answers: Counter[str] = Counter()
    for number in range(files):
        data = random.choice(_DAMAGES)(random, whole[number % len(whole)])
        answer = compress(data, RECIPES[number // len(whole) % len(RECIPES)], Budget())
        answers[answer.code if isinstance(answer, Fault) else "done"] += 1
    return answers


def test_no_damaged_file_stops_a_worker() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.images.compress.test_corpus", str(FILES)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-3000:])
    answers = {code: int(count) for code, count in map(str.split, done.stdout.splitlines())}
    assert sum(answers.values()) == FILES
    assert set(answers) <= FAMILY | {"done"}
    assert answers["image_truncated"] > FILES / 20
    assert answers["image_corrupt"] > FILES / 20


if __name__ == "__main__":
    for code, count in run(int(sys.argv[1])).items():
        print(code, count)
