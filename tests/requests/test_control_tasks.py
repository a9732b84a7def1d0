"""Control tasks: one at a time, fenced, given up with a reason when they kill their workers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone

from imageproc.faults import (
    CLOSING_DIED,
    COMPLETION_DIED,
    REMOVAL_DIED,
    STORAGE_FAILED,
)
from imageproc.images import store
from imageproc.images.claim import claim
from imageproc.images.record import record
from imageproc.intake import ingest
from imageproc.models import ProcessingRequest, ProductImage
from imageproc.requests import completion, operations, removal
from imageproc.requests.hold import Hold, HoldLostError
from tests.support import build

pytestmark = pytest.mark.django_db
ROWS = b"S. No.,Product Name,Input Image Urls\n1,A,http://s.example/1.jpg\n"
PAST = "2000-01-01T00:00:00Z"
Step = Callable[[ProcessingRequest], Any]


class Died(BaseException):
    """Stands in for SIGKILL: nothing of the service catches it."""


def raising(error: BaseException) -> Any:
    def step(*_: object, **__: object) -> None:
        raise error

    return step


def settled() -> ProcessingRequest:
    request = build.accepted(ROWS)
    ingest.ingest(request.id)
    record([build.done(job) for job in claim()])
    return request


def cancelled() -> ProcessingRequest:
    request = build.request(2)
    ProcessingRequest.objects.cancel(request.id)
    return request


def removed() -> ProcessingRequest:
    request = build.request(2)
    operations.remove(request.id)
    return request


def complete(request: ProcessingRequest) -> Any:
    return completion.complete(request.id)


def close(request: ProcessingRequest) -> Any:
    return completion.close_images(request.id)


def erase(request: ProcessingRequest) -> Any:
    return removal.erase(request.id)


# The task, the step that it dies in, what is due, and how it ends.
TASKS = [
    (settled, complete, "imageproc.requests.report.output_file", "settled", COMPLETION_DIED),
    (cancelled, close, "imageproc.requests.completion._cancel_batch", "to_close", CLOSING_DIED),
    (removed, erase, "imageproc.images.store.list_keys", "to_erase", REMOVAL_DIED),
]
EACH = pytest.mark.parametrize(("make", "task", "step", "due", "fault"), TASKS)


@EACH
def test_one_that_kills_its_worker_ends_with_a_reason(
    make: Callable[[], ProcessingRequest],
    task: Step,
    step: str,
    due: str,
    fault: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = make()
    monkeypatch.setattr(step, raising(Died()))
    for attempt in range(1, 6):
        with pytest.raises(Died):
            task(request)
        assert task(request) in (0, False)  # the lease of the dead worker
        request.refresh_from_db()
        assert (request.task_attempts, request.error_message) == (
            attempt,
            "The request was cancelled." if due != "settled" else "",
        )
        ProcessingRequest.objects.update(lease_until=PAST)
    task(request)
    request.refresh_from_db()
    assert request.error_message == fault.sentence
    assert request.status == ("FAILED" if due == "settled" else "CANCELLED")
    assert not getattr(ProcessingRequest.objects, due)().exists()
    assert (request.lease_id, request.lease_until) == (None, None)


@EACH
@pytest.mark.parametrize(
    "error", [store.StoreError(STORAGE_FAILED), OperationalError("server closed the connection")]
)
def test_our_own_outage_costs_no_attempt(
    make: Callable[[], ProcessingRequest],
    task: Step,
    step: str,
    due: str,
    fault: Any,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = make()
    with monkeypatch.context() as patch:
        patch.setattr(step, raising(error))
        for _ in range(8):
            assert not task(request)
            row = ProcessingRequest.objects.get(id=request.id)
            assert (row.task_attempts, row.lease_id) == (0, None)
            assert row.lease_until is not None
            assert 8 < (row.lease_until - timezone.now()).total_seconds() <= 10
            ProcessingRequest.objects.update(lease_until=None)
    task(request)
    assert not getattr(ProcessingRequest.objects, due)().filter(erased_at=None).exists()
    row = ProcessingRequest.objects.get(id=request.id)
    assert row.error_message != fault.sentence


def test_closing_that_gets_on_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """It dies eight times, each time one batch further."""
    monkeypatch.setattr(completion, "CANCEL_BATCH", 1)
    request = build.request(9)
    ProcessingRequest.objects.cancel(request.id)
    batch = completion._cancel_batch
    calls = 0

    def second_dies(request_id: Any) -> int:
        nonlocal calls
        calls += 1
        if calls % 2 == 0:
            raise Died
        return batch(request_id)

    monkeypatch.setattr(completion, "_cancel_batch", second_dies)
    for _ in range(8):
        with pytest.raises(Died):
            completion.close_images(request.id)
        ProcessingRequest.objects.update(lease_until=PAST)
    monkeypatch.setattr(completion, "_cancel_batch", batch)
    assert completion.close_images(request.id) == 1
    assert build.statuses(request) == ["CANCELLED"] * 9


def test_a_task_that_lost_its_lease_stops() -> None:
    request = build.request(1)
    assert ProcessingRequest.objects.begin(request.id, 60)
    for step in (Hold.extend, Hold.advance):
        with pytest.raises(HoldLostError):
            step(Hold(request.id, uuid4(), 60))


def test_a_completion_that_lost_its_lease_writes_no_output() -> None:
    request = settled()
    hold = Hold.begin(ProcessingRequest.objects.settled(), request.id, 0)
    assert hold is not None
    assert ProcessingRequest.objects.begin(request.id, 60)
    with hold.waiting_out_outages():
        completion._complete(hold)
    assert [key for key, _ in store.list_keys(f"{request.id}/")] == [request.input_csv]
    assert ProductImage.objects.filter(request=request).count() == 1
