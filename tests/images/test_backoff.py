"""How long a failed attempt waits: by attempt, at both ends of the jitter, and by Retry-After."""

from __future__ import annotations

import random
from typing import Any

import pytest

from imageproc.images.backoff import seconds_until_retry

# attempt: the longest wait
LONGEST = {1: 2.0, 2: 8.0, 3: 32.0, 4: 128.0, 5: 512.0, 6: 600.0, 7: 600.0, 50: 600.0}


def at_share(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Let each choice between two numbers fall at this share of the way."""

    def choose(low: float, high: float) -> float:
        return low + (high - low) * share

    monkeypatch.setattr(random, "uniform", choose)


@pytest.mark.parametrize(("attempt", "longest"), LONGEST.items())
def test_the_wait_by_attempt(attempt: int, longest: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for share, part in ((0.0, 0.5), (0.5, 0.75), (1.0, 1.0)):
        at_share(monkeypatch, share)
        assert seconds_until_retry(attempt) == longest * part


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        *((None, 8.0), (0.0, 8.0), (-5.0, 8.0), (7.9, 8.0), (8.1, 8.1)),
        *((3599.0, 3599.0), (3600.0, 3600.0), (3601.0, 3600.0), (1e9, 3600.0)),
    ],
)
def test_what_the_host_asks_for(
    retry_after: float | None, wait: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_share(monkeypatch, 1.0)
    assert seconds_until_retry(2, retry_after) == wait


def test_a_burst_does_not_come_back_as_a_burst() -> None:
    waits: list[Any] = [seconds_until_retry(3) for _ in range(200)]
    assert len(set(waits)) == 200
    assert all(16 <= wait <= 32 for wait in waits)
    assert min(waits) < 19 < 29 < max(waits)
