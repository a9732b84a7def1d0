"""A session that holds one row's lock does not stall what has nothing to do with that row."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from imageproc.faults import NOT_FOUND
from imageproc.images import hosts, storing
from imageproc.images.claim import claim
from imageproc.images.outbox import Outbox
from imageproc.images.outcome import Failed
from imageproc.images.pump import Pump
from imageproc.images.record import record
from imageproc.images.sweep import return_expired
from imageproc.models import Host, ProcessingRequest, ProductImage
from tests.support import build
from tests.support.locks import locked

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks no rows"),
]


def of(request: ProcessingRequest) -> Any:
    return ProcessingRequest.objects.filter(id=request.id)


def test_every_wait_for_a_lock_ends() -> None:
    """Where a row cannot be left out, its change fails before the worker's other leases run out."""
    request = build.request()
    with locked(of(request)), pytest.raises(OperationalError, match="lock timeout"):
        of(request).update(file_name="x")


def test_images_are_claimed_beside_a_locked_request_and_of_it() -> None:
    first, second = build.request(images=2), build.request(images=2)
    with locked(of(first)):
        assert {job.request_id for job in claim()} == {first.id, second.id}
    assert [r.last_served_at is None for r in (of(first).get(), of(second).get())] == [True, False]


def test_a_locked_image_is_not_waited_for() -> None:
    request = build.request(images=2)
    first, second = request.images.order_by("id")
    with locked(ProductImage.objects.filter(id=first.id)):
        assert [job.image_id for job in claim()] == [second.id]


@pytest.mark.parametrize("what", ["request", "image"])
def test_outcomes_of_locked_rows_wait_without_stopping_the_others(what: str) -> None:
    request, other = build.request(images=1), build.request(images=2)
    jobs = {job.request_id: job for job in claim()}
    mine = Failed(jobs[request.id], NOT_FOUND)
    rows = of(request) if what == "request" else request.images.all()
    with locked(rows):
        recorded = record([mine, build.done(jobs[other.id])])
        assert (recorded.written, recorded.locked) == (1, [mine])
    assert build.statuses(request) == [build.PROCESSING]
    recorded = record(recorded.locked)
    assert (recorded.written, recorded.locked) == (1, [])
    assert build.statuses(request) == [build.FAILED]
    request.refresh_from_db()
    assert request.failed_images == 1


def test_an_outcome_whose_row_is_gone_does_not_wait() -> None:
    request = build.request(images=1)
    [job] = claim()
    request.images.all().delete()
    recorded = record([build.done(job)])
    assert (recorded.written, recorded.locked) == (0, [])


def test_leases_are_renewed_and_handed_back_beside_a_locked_image() -> None:
    request = build.request(images=2)
    first, second = claim()
    with locked(ProductImage.objects.filter(id=first.image_id)):
        assert ProductImage.objects.renew([first.lease_id], 60) == 1
        ids = [first.image_id, second.image_id]
        assert ProductImage.objects.hand_back(ids, [first.lease_id]) == 1
    assert build.statuses(request) == [build.PROCESSING, build.PENDING]


def test_the_sweep_returns_other_images_and_comes_back_for_the_locked() -> None:
    hopeless, other = build.request(images=1), build.request(images=1)
    claim()
    ProductImage.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    hopeless.images.update(lost_count=2, in_codec=True)
    with locked(of(hopeless)):
        assert return_expired() == 1
        assert (build.statuses(hopeless), build.statuses(other)) == (
            [build.PROCESSING],
            [build.PENDING],
        )
    assert return_expired() == 1
    assert build.statuses(hopeless) == [build.FAILED]


def test_a_pump_goes_on_beside_a_locked_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does the others' images, and gives those of the locked one back at its end."""
    monkeypatch.setattr("imageproc.images.pump.work", lambda in_hand: [build.done(in_hand.job)])
    storing.unavailable.clear()
    first, second = build.request(images=20), build.request(images=20)
    with locked(of(first)):
        assert Pump(lambda: False).run(8) == 20
    assert set(build.statuses(second)) == {build.COMPLETED}
    left = first.images.values_list("status", "attempts").distinct()
    assert list(left) == [(build.PENDING, 0)]
    assert Pump(lambda: False).run(60) == 20


def test_more_of_a_request_is_claimed_unless_its_outcomes_wait_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An ingest holds the request for a moment at each chunk, which must not stop its images."""
    request = build.request(images=1)
    box = Outbox()
    box.outcomes = [build.done(job) for job in claim()]
    with locked(of(request)):
        box.flush()
        assert (len(box.outcomes), box.locked_requests()) == (1, frozenset())
        monkeypatch.setattr("imageproc.images.outbox.LOCKED_SECONDS", 0)
        assert box.locked_requests() == {request.id}
    box.flush()
    assert (box.recorded, box.outcomes, box.locked_requests()) == (1, [], frozenset())


def test_images_of_a_dead_host_end_later_where_their_request_is_locked() -> None:
    """Not halfway: neither the images nor the counter, and the host is not met afresh yet."""
    first, second = build.request(images=2), build.request(images=1)
    host = Host.objects.create(name="shop.example", held=True)
    with locked(of(first)):
        assert hosts.give_up([host.name]) == 1
    assert build.statuses(first) == [build.PENDING] * 2
    assert build.statuses(second) == [build.FAILED]
    host.refresh_from_db()
    assert (of(first).get().failed_images, host.held) == (0, True)
    assert hosts.give_up([host.name]) == 2
    assert build.statuses(first) == [build.FAILED] * 2
    host.refresh_from_db()
    assert (of(first).get().failed_images, host.held, host.probing) == (2, False, True)
