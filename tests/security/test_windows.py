"""How many calls a minute takes, with a clock that the test moves."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from imageproc.api.throttles import Window

Clock = Callable[[float], None]
START = 1_000 * 60.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets the time, in seconds since the beginning of a minute."""

    def set_to(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: START + seconds)

    set_to(0.0)
    return set_to


def calls(count: int, limit: int, who: str = "olga", window: str = "w") -> list[float]:
    return [Window(window).allow(who, limit) for _ in range(count)]


def test_the_limit_itself_is_allowed(clock: Clock) -> None:
    clock(10.0)
    assert calls(4, 3) == [0.0, 0.0, 0.0, 50.0]


def test_each_caller_and_each_window_counts_alone(clock: Clock) -> None:
    assert calls(2, 1) == [0.0, 60.0]
    assert calls(1, 1, who="paul") == [0.0]
    assert calls(1, 1, window="x") == [0.0]


def test_zero_is_no_limit(clock: Clock) -> None:
    assert calls(5, 0) == [0.0] * 5


@pytest.mark.parametrize(
    ("seconds", "allowed"),
    [(59.9, 0), (60.0, 0), (75.0, 1), (90.0, 2), (105.0, 3), (119.9, 3), (120.0, 4), (240.0, 4)],
)
def test_the_last_minute_counts_by_the_part_that_is_left(
    clock: Clock, seconds: float, allowed: int
) -> None:
    """Four calls of four; then so many more are allowed at this second."""
    assert calls(4, 4) == [0.0] * 4
    clock(seconds)
    assert calls(8, 4).count(0.0) == allowed


@pytest.mark.parametrize(
    ("before", "seconds", "limit", "wait"),
    [
        (4, 60.0, 4, 60.0),  # as many as the limit: this minute has to pass
        (8, 60.0, 4, 30.0),  # twice the limit: half of them have to slide out
        (8, 80.0, 4, 10.0),
        (8, 89.5, 4, 1.0),  # never less than a second
    ],
)
def test_how_long_to_wait(
    clock: Clock, before: int, seconds: float, limit: int, wait: float
) -> None:
    calls(before, before)
    clock(seconds)
    assert calls(5, limit)[-1] == pytest.approx(wait)
