"""Numbers and states in words, at the borders where the words change."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from imageproc.images.presets import PRESETS
from imageproc.models import ProcessingRequest
from imageproc.web import tags

# filter: [(value, what people read)], with plain blanks for the ones that do not break.
WORDS: dict[Any, list[tuple[Any, str]]] = {
    tags.count: [(0, "0"), (999, "999"), (12_345, "12,345")],
    tags.size: [
        (None, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (21_826, "21.8 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (5 * 10**15, "5000 TB"),
    ],
    tags.duration: [
        (None, "0 s"),
        (-5, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (75, "1 min 15 s"),
        (599, "9 min 59 s"),
        (600, "10 min"),
        (3599, "59 min"),
        (3600, "1 h 0 min"),
        (7300, "2 h 1 min"),
    ],
    tags.rate: [
        (None, ""),
        (0.25, "15 a minute"),
        (1, "1.0 a second"),
        (9.94, "9.9 a second"),
        (10, "10 a second"),
    ],
    tags.smaller: [(0.125, "88 % smaller"), (0.999, "0 % smaller"), (1.0, "not smaller")],
    tags.size_in_words: [
        (PRESETS["half"].recipe, "Original size"),
        (PRESETS["catalog"].recipe, "Within 800 × 800"),
        (PRESETS["amazon"].recipe, "2000 × 2000 on white"),
    ],
    tags.recipe: [
        (
            {"max_width": 800, "max_height": 800, "quality": 30},
            "fit in 800 × 800, JPEG, quality 30",
        ),
        ({"max_width": 500, "format": "png", "quality": 30}, "fit in 500 × any, PNG"),
        ({"format": "webp", "quality": 5}, "original size, WebP, quality 5"),
        (
            {"max_width": 9, "max_height": 8, "fit": "pad", "background": "#000000", "quality": 5}
            | {"trim": 20, "margin": 7.5},
            "9 × 8 on #000000, plain border removed, 7.5 % margin, JPEG, quality 5",
        ),
        (
            {"max_width": 9, "max_height": 8, "fit": "cover", "quality": 5},
            "cut to 9 × 8, JPEG, quality 5",
        ),
    ],
}


@pytest.mark.parametrize("tag", WORDS, ids=lambda tag: str(tag.__name__))
def test_a_number_in_words(tag: Any) -> None:
    for value, words in WORDS[tag]:
        assert tag(value).replace("\N{NO-BREAK SPACE}", " ") == words, value


@pytest.mark.parametrize(
    ("bytes_in", "bytes_out", "words"),
    [(0, 0, ""), (1000, 130, "87 %"), (1000, 999, "0 %"), (1000, 1000, ""), (1000, 2000, "")],
)
def test_what_was_saved_is_never_less_than_nothing(
    bytes_in: int, bytes_out: int, words: str
) -> None:
    value = SimpleNamespace(bytes_in=bytes_in, bytes_out=bytes_out)
    assert tags.saved(value).replace("\N{NO-BREAK SPACE}", " ") == words


@pytest.mark.parametrize(
    ("done", "total", "percent", "tenth"),
    [(0, 0, 0, 0), (0, 9, 0, 0), (999, 1000, 99, 90), (1000, 1000, 100, 100), (199, 1000, 19, 10)],
)
def test_a_hundred_percent_is_all(done: int, total: int, percent: int, tenth: int) -> None:
    request = ProcessingRequest(total_images=total, completed_images=done)
    assert (tags.percent(request), tags.tenth(request)) == (percent, tenth)
    assert tags.share(done, total) == (f"{100 * done / total:.3f}" if total else "0")


@pytest.mark.parametrize(
    ("status", "failed", "words", "tone"),
    [
        ("PENDING", 0, "Waiting", "pending"),
        ("PROCESSING", 3, "Running", "processing"),
        ("COMPLETED", 0, "Done", "completed"),
        ("COMPLETED", 1, "Done, with failures", "partial"),
        ("FAILED", 3, "Failed", "failed"),
        ("CANCELLED", 3, "Cancelled", "cancelled"),
    ],
)
def test_a_state_in_words(status: str, failed: int, words: str, tone: str) -> None:
    request = ProcessingRequest(status=status, failed_images=failed)
    assert (tags.state(request), tags.tone(request)) == (words, tone)
