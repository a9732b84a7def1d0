"""The rules of a host's row, by a clock that the test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from imageproc.models import Host, HostReason

START = datetime(2026, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def host(pace: float | None = None, **fields: object) -> Host:
    opened: dict[str, object] = {"next_slot_at": START, "closed_until": START, "signed_at": START}
    return Host(name="shop.example", pace=pace, **opened | fields)


def seconds(times: list[datetime]) -> list[float]:
    return [round((at - START).total_seconds(), 3) for at in times]


def test_slots_keep_the_pace_and_reach_one_second_ahead() -> None:
    row = host(4.0)
    slots = row.slots(START, 50)
    assert seconds(slots) == [0, 0.25, 0.5, 0.75, 1.0]
    row.reserve(slots[:3], START, 40)
    assert seconds(row.slots(after(0.1), 50)) == [0.75, 1.0]
    # What was not used is lost: no burst follows a pause.
    assert seconds(row.slots(after(60), 2)) == [60, 60.25]


def test_a_pace_below_one_a_second_gives_one_slot_at_a_time() -> None:
    row = host(0.2)
    row.reserve(row.slots(START, 50), START, 40)
    assert row.slots(after(3.9), 50) == []
    assert seconds(row.slots(after(4.1), 50)) == [5.0]


def test_a_refusal_halves_the_pace_and_closes_for_retry_after() -> None:
    row = host(10.0)
    row.slow_down(after(5), after(4), 7.0, rate=0)
    assert (row.pace, row.limit, row.reason) == (5.0, 10.0, HostReason.BUSY)
    assert row.slots(after(11.9), 50) == []
    assert len(row.slots(after(12.1), 50)) == 1  # a probe


def test_the_latest_retry_after_counts_and_the_pace_halves_once_for_a_burst() -> None:
    row = host(10.0)
    row.slow_down(after(5), after(4), 7.0, rate=0)
    row.slow_down(after(5.5), after(4.5), 20.0, rate=0)
    row.slow_down(after(5.6), after(4.9), 2.0, rate=0)
    assert (row.pace, row.closings, seconds([row.closed_until])) == (5.0, 1, [25.5])


def test_a_host_without_a_pace_gets_half_of_what_it_gave() -> None:
    row = host()
    row.slow_down(after(5), after(4), None, rate=30.0)
    assert row.pace == 15.0


def test_without_retry_after_the_pauses_grow_until_it_answers() -> None:
    row, now, pauses = host(10.0), after(1), []
    for _ in range(9):
        row.slow_down(now, now, None, rate=0)
        pauses.append((row.closed_until - now).total_seconds())
        now = row.closed_until + timedelta(milliseconds=1)
    for pause, longest in zip(pauses, (1, 2, 4, 8, 16, 32, 60, 60, 60), strict=True):
        assert 0.8 * longest <= pause <= longest
    assert row.pace == 5.0  # a refused probe says nothing about the pace
    row.answered(now, now)
    row.slow_down(now + timedelta(seconds=1), now + timedelta(seconds=1), None, rate=0)
    assert row.closed_until <= now + timedelta(seconds=2)


def test_one_probe_at_a_time_and_its_answer_opens() -> None:
    row = host()
    row.no_answer(after(1), after(0.5))
    assert row.is_limited
    [slot] = row.slots(after(2.5), 50)
    row.reserve([slot], after(2.5), 40)
    assert row.slots(after(42), 50) == []
    assert len(row.slots(after(43), 50)) == 1  # the probe's worker died
    row.answered(after(3), after(0.9))  # was asked before the host closed
    assert row.probing
    row.answered(after(3), after(2.5))
    assert (row.is_limited, row.pace) == (False, None)


def test_the_pace_comes_back_soon_and_then_rises_slowly() -> None:
    row = host(10.0, limit=10.0, confirmed=1)
    row.slow_down(after(1), after(1), 1.0, rate=0)
    row.answered(after(2), after(1.5))
    reached = []
    for second in range(3, 40):
        row.answered(after(second), after(second - 0.1))
        reached.append(row.pace or 0)
    soon = [pace for pace in reached[:8] if pace >= 9.5]
    assert soon
    assert 10.0 < reached[-1] < 11.5


def test_the_surer_the_limit_the_slower_the_pace_goes_near_it() -> None:
    """Ten refusals a second after the pace reached the limit: times between them grow."""
    row, now, last = host(10.5), 0.0, 0.0
    between: list[float] = []
    while len(between) < 6 and now < 3600:
        now += 1
        if (row.pace or 0) > 10 and not row.is_closed(after(now)):
            row.slow_down(after(now), after(now), 1.0, rate=0)
            between.append(now - last)
            last = now
        elif not row.is_closed(after(now)):
            row.answered(after(now), after(now - 0.01))
    assert between[1] < between[3] < between[5]


def test_patience_ends_with_the_first_answer_or_when_nobody_asked() -> None:
    row, now = host(), after(1)
    for _ in range(12):
        row.no_answer(now, now)
        now = row.closed_until + timedelta(milliseconds=1)
    assert row.lost_patience(now, 100)
    assert not row.lost_patience(now, 300)
    later = now + timedelta(hours=2)
    row.no_answer(later, later)
    assert not row.lost_patience(later, 100)
    row.answered(later + timedelta(minutes=5), later + timedelta(minutes=5))
    assert row.silent_since is None


@pytest.mark.parametrize("fields", [{"held": True}, {"closed_until": after(10)}])
def test_a_closed_host_has_no_slots(fields: dict[str, object]) -> None:
    assert host(5.0, **fields).slots(after(1), 50) == []


def test_an_operators_pace_stands_whatever_the_host_says() -> None:
    row = host(10.0, fixed_pace=2.0)
    row.slow_down(after(1), after(1), 1.0, rate=0)
    assert row.current_pace == 2.0
