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
    slots = row.slots(START, 9)
    assert seconds(slots) == [0, 0.25, 0.5, 0.75, 1.0]
    row.reserve(slots[:3], START, 40)
    assert seconds(row.slots(after(0.1), 9)) == [0.75, 1.0]
    assert seconds(row.slots(after(0.1), 0)) == [0.75]
    # What was not used is lost: no burst follows a pause.
    assert seconds(row.slots(after(60), 0.5)) == [60, 60.25, 60.5]


def test_a_pace_below_one_a_second_gives_one_slot_at_a_time() -> None:
    row = host(0.2)
    row.reserve(row.slots(START, 50), START, 40)
    assert row.slots(after(3.9), 50) == []
    assert seconds(row.slots(after(4.1), 50)) == [5.0]


def test_a_refusal_lowers_the_pace_and_closes_for_retry_after() -> None:
    row = host(10.0)
    row.slow_down(after(5), after(4), 7.0, rate=0)
    assert (row.pace, row.limit, row.reason) == (5.0, 10.0, HostReason.BUSY)
    assert row.slots(after(11.9), 50) == []
    assert len(row.slots(after(12.1), 50)) == 1  # a probe


def test_the_latest_retry_after_counts_and_the_pace_falls_once_for_a_burst() -> None:
    row = host(10.0)
    row.slow_down(after(5), after(4), 7.0, rate=0)
    row.slow_down(after(5.5), after(4.5), 20.0, rate=0)
    row.slow_down(after(5.6), after(4.9), 2.0, rate=0)
    assert (row.pace, row.closings, seconds([row.closed_until])) == (5.0, 1, [25.5])


def test_the_first_pace_is_what_all_workers_made() -> None:
    row = host()
    row.slow_down(after(5), after(4), None, rate=30.0)
    row.slow_down(after(5.2), after(5.1), None, rate=12.0)  # another worker, which did not know
    assert (row.pace, row.closings) == (42.0, 1)


@pytest.mark.parametrize(
    ("retry_after", "longest_pauses"),
    [(None, (1, 2, 4, 8, 16, 32, 60, 60, 60)), (1.0, (1, 1, 2, 4, 8, 16, 30, 30, 30))],
    ids=["no Retry-After", "Retry-After that it does not keep"],
)
def test_the_pauses_grow_until_it_answers(
    retry_after: float | None, longest_pauses: tuple[float, ...]
) -> None:
    row, now, pauses = host(10.0), after(1), []
    for n in range(9):
        row.slow_down(now, now, retry_after, rate=0, probe=n > 0)
        pauses.append((row.closed_until - now).total_seconds())
        now = row.closed_until + timedelta(milliseconds=1)
    for pause, longest in zip(pauses, longest_pauses, strict=True):
        assert 0.8 * longest <= pause <= longest
    assert row.pace == 5.0  # a refused probe says nothing about the pace
    row.answered(now, now, probe=True)
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
    row.answered(after(3), after(2.5), probe=True)
    assert (row.is_limited, row.pace) == (False, None)


class Bucket:
    """A host that allows ``rate`` requests a second, and ``burst`` of them at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self.rate, self.burst, self.tokens, self.filled_at = rate, burst, burst, 0.0

    def allows(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


LATENCY = 0.1


def visit(bucket: Bucket, images: int, retry_after: float | None) -> tuple[float, int]:
    """Ask for all images as a worker does; from a first pace that is 40 % off. When the last one
    came, and how often the host refused."""
    row, now, left, refusals = host(1.4 * bucket.rate), 0.0, images, 0
    row.limit = row.found_pace = row.pace
    row.opened_at = row.closed_at = START
    while left:
        used = row.slots(after(now), 0.3)
        probe = row.probing
        row.reserve(used, after(now), 40)
        for slot in used:
            now = max(now, (slot - START).total_seconds())
            if bucket.allows(now):
                left -= 1
                row.answered(after(now + LATENCY), after(now), probe=probe)
            else:
                refusals += 1
                row.slow_down(after(now + LATENCY), after(now), retry_after, 0, probe=probe)
                break
            if not left:
                break
        now += 0.1 if probe or not used else 0.0
    return now, refusals


@pytest.mark.parametrize("retry_after", [1.0, None, 3.0])
@pytest.mark.parametrize(
    ("rate", "burst"), [(10, 10), (10, 1), (50, 50), (50, 300), (2, 2), (200, 20)]
)
def test_the_pace_finds_the_hosts_limit(
    rate: float, burst: float, retry_after: float | None
) -> None:
    images = round(500 * rate)
    seconds, refusals = visit(Bucket(rate, burst), images, retry_after)
    assert seconds <= 1.2 * images / rate
    assert refusals <= 0.01 * images + 15


def test_a_limit_that_is_gone_is_left_behind_soon() -> None:
    row = host(10.0, limit=10.0, found_pace=10.0, opened_at=START, confirmed=3)
    row.raise_pace(after(60))
    assert (row.pace or 0) > 50


def test_patience_ends_with_the_first_answer_or_when_nobody_asked() -> None:
    row, now = host(), after(1)
    for n in range(12):
        row.no_answer(now, now, probe=n > 0)
        now = row.closed_until + timedelta(milliseconds=1)
    assert row.lost_patience(now, 100)
    assert not row.lost_patience(now, 300)
    later = now + timedelta(hours=2)
    row.no_answer(later, later, probe=True)
    assert not row.lost_patience(later, 100)
    row.answered(later + timedelta(minutes=5), later + timedelta(minutes=5))
    assert row.silent_since is None


def test_patience_does_not_end_while_hardly_anybody_asked() -> None:
    row = host()
    for n, at in enumerate((1, 60, 120, 180)):
        row.no_answer(after(at), after(at), probe=n > 0)
    assert not row.lost_patience(after(180), 100)
    row.no_answer(after(200), after(200), probe=True)
    assert row.lost_patience(after(200), 100)


@pytest.mark.parametrize("fields", [{"held": True}, {"closed_until": after(10)}])
def test_a_closed_host_has_no_slots(fields: dict[str, object]) -> None:
    assert host(5.0, **fields).slots(after(1), 50) == []


def test_an_operators_pace_stands_whatever_the_host_says() -> None:
    row = host(10.0, fixed_pace=2.0)
    row.slow_down(after(1), after(1), 1.0, rate=0)
    assert row.current_pace == 2.0


def test_an_uploads_pace_is_the_most_and_an_operators_comes_first() -> None:
    assert host(10.0, upload_pace=4.0).current_pace == 4.0
    assert host(2.0, upload_pace=4.0).current_pace == 2.0
    assert host(upload_pace=4.0).is_limited
    assert host(2.0, upload_pace=4.0, fixed_pace=9.0).current_pace == 9.0
    row = host(upload_pace=4.0)
    row.slow_down(after(5), after(4), 1.0, rate=0)
    assert row.current_pace == 2.0
