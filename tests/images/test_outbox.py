"""When a pump writes its outcomes, by a clock that the test moves."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from uuid import UUID

import pytest

from imageproc.faults import HOST_BUSY, NOT_FOUND
from imageproc.images import outbox
from imageproc.images.job import Job
from imageproc.images.outbox import Outbox
from imageproc.images.outcome import Deferred, Failed, Outcome
from imageproc.images.record import Recorded
from imageproc.models import ProcessingRequest, ProductImage
from tests.support import build

ONE, OTHER = UUID(int=1), UUID(int=2)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(outbox, "time", found)
    return found


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> set[UUID]:
    """Requests whose outcomes the database does not take; of all others it takes them."""
    requests: set[UUID] = set()

    def record(outcomes: list[Outcome]) -> Recorded:
        left = [outcome for outcome in outcomes if outcome.job.request_id in requests]
        return Recorded(len(outcomes) - len(left), left)

    monkeypatch.setattr(outbox, "record", SimpleNamespace(record=record))
    monkeypatch.setattr(
        outbox, "hosts", SimpleNamespace(heed=lambda _: set(), give_up=lambda _: None)
    )
    return requests


def job(request: UUID = ONE, *, probe: bool = False) -> Job:
    of = ProcessingRequest(id=request, owner_id=1)
    image = ProductImage(request=of, input_url="http://shop.example/1.jpg", attempts=1)
    return replace(build.job_of(image), probe=probe)


def ended(request: UUID = ONE, *, probe: bool = False) -> Failed:
    return Failed(job(request, probe=probe), NOT_FOUND)


def due_after(box: Outbox, clock: Clock, under_way: list[Job]) -> float:
    """Seconds until it is due, in tenths."""
    begun = clock.now
    while not box.is_due(under_way):
        clock.now += 0.1
        assert clock.now < begun + 60
    return round(clock.now - begun, 1)


def test_it_writes_less_and_less_often(clock: Clock, locked: set[UUID]) -> None:
    box, pauses = Outbox(), []
    box.flush()
    for _ in range(6):
        box.outcomes = [ended()]
        pauses.append(due_after(box, clock, [job()]))
        box.flush()
    assert pauses == [1, 2, 4, 5, 5, 5]
    assert (box.recorded, box.outcomes) == (6, [])


def test_what_ends_its_part_of_a_request_waits_half_a_second_at_most(
    clock: Clock, locked: set[UUID]
) -> None:
    box = Outbox()
    for _ in range(5):
        box.flush()
    box.outcomes = [ended(ONE), ended(OTHER)]
    assert due_after(box, clock, [job(ONE)]) == 0.5
    box.flush()
    box.outcomes = [ended(ONE), ended(OTHER)]
    assert due_after(box, clock, [job(ONE), job(OTHER)]) == 5


def test_what_the_other_workers_are_to_hear_is_written_at_once(
    clock: Clock, locked: set[UUID]
) -> None:
    refused = Deferred(job(), HOST_BUSY)
    for outcomes, under_way, seconds in (
        ([refused], [job()], 0),
        ([ended(probe=True)], [job()], 0),
        ([ended()] * 100, [job()], 0),
        ([ended()] * 99, [job()], 1),
        ([ended()], [], 0),
    ):
        box = Outbox()
        box.flush()
        box.outcomes = list(outcomes)
        assert due_after(box, clock, under_way) == seconds, outcomes[0]


def test_outcomes_whose_rows_are_locked_are_tried_again_soon_then_less_often(
    clock: Clock, locked: set[UUID]
) -> None:
    locked.add(OTHER)
    box = Outbox()
    box.outcomes = [ended(ONE), ended(OTHER)]
    box.flush()
    assert (box.recorded, [outcome.job.request_id for outcome in box.outcomes]) == (1, [OTHER])
    pauses = []
    while clock.now < 1003.2:
        assert box.locked_requests() == ({OTHER} if clock.now >= 1002 else set()), clock.now
        pauses.append(due_after(box, clock, [job()]))
        box.flush()
    assert (pauses[:3], pauses[-2:]) == ([0.1] * 3, [0.5] * 2)
    locked.clear()
    box.flush()
    assert (box.recorded, box.locked_requests()) == (2, frozenset())
