"""Retry, rerun, cancel, remove: states, counters, tallies, the queue, the storage."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from imageproc.faults import HOST_BUSY, NOT_FOUND, Fault
from imageproc.images import store
from imageproc.images.claim import claim
from imageproc.images.outcome import Failed
from imageproc.images.record import record
from imageproc.images.sweep import sweep
from imageproc.models import (
    FailureTally,
    Priority,
    ProcessingRequest,
    Product,
    ProductImage,
    RequestStatus,
    Switch,
    WebhookDelivery,
)
from imageproc.models.request_states import REMAINS_SECONDS
from imageproc.requests import completion, operations, removal
from tests.support import build

pytestmark = pytest.mark.django_db(transaction=True)


def ended(done: int = 1, failed: int = 2, fault: Fault = NOT_FOUND) -> ProcessingRequest:
    """A request whose first ``done`` images are COMPLETED and whose others FAILED."""
    request = build.request(done + failed, webhook_url="http://receiver.example/hook")
    jobs = sorted(claim(), key=lambda job: job.url)
    record([build.done(job) for job in jobs[:done]])
    record([Failed(job, fault.because("seen")) for job in jobs[done:]])
    status = RequestStatus.COMPLETED if done else RequestStatus.FAILED
    ProcessingRequest.objects.filter(id=request.id).update(
        status=status, completed_at=timezone.now(), output_csv="out", error_message="why"
    )
    OrmQ.objects.all().delete()
    return ProcessingRequest.objects.get(id=request.id)


def facts(request: ProcessingRequest) -> tuple[Any, ...]:
    request.refresh_from_db()
    tallies = FailureTally.objects.filter(request=request).values_list("error_code", "images")
    return (
        request.status,
        request.completed_images,
        request.failed_images,
        sorted(tallies),
        build.statuses(request),
    )


def queued() -> list[str]:
    return sorted(task.func().rpartition(".")[2] for task in OrmQ.objects.all())


def test_retry_puts_every_failed_image_back() -> None:
    request = ended()
    assert operations.retry(request.id) == 2
    assert facts(request) == ("PROCESSING", 1, 0, [], ["COMPLETED", "PENDING", "PENDING"])
    assert (request.completed_at, request.error_message) == (None, "")
    image = request.images.order_by("id").last()
    assert image is not None
    assert (image.attempts, image.error_code, image.error_message) == (0, "", "")
    assert [entry["code"] for entry in image.attempt_log] == ["not_found"]
    assert "pump" in queued()
    assert {job.image_id for job in claim()} == {i.id for i in request.images.all()[1:]}


def test_retry_walks_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "BATCH", 2)
    request = ended(done=0, failed=5)
    assert operations.retry(request.id) == 5
    assert facts(request) == ("PROCESSING", 0, 0, [], ["PENDING"] * 5)
    assert request.reopened == 3
    assert request.lease_until is None


def test_an_image_that_fails_again_meanwhile_is_not_put_back_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operations, "BATCH", 1)
    request = ended(done=0, failed=3)

    def fail_at_once() -> int:
        record([Failed(job, NOT_FOUND) for job in claim()])
        return 0

    monkeypatch.setattr("imageproc.workers.queue.ensure_pumps", fail_at_once)
    assert operations.retry(request.id) == 3
    assert facts(request) == ("PROCESSING", 0, 3, [("not_found", 3)], ["FAILED"] * 3)
    assert queued().count("complete") >= 1


def test_retry_by_reason_host_and_image() -> None:
    request = build.request(0, total_products=3, ingested_products=3, total_images=3)
    images = [build.image(request, n, f"{'ab'[n % 2]}.example") for n in (1, 2, 3)]
    jobs = {job.image_id: job for job in claim()}
    record(
        [
            Failed(jobs[images[0].id], NOT_FOUND),
            Failed(jobs[images[1].id], NOT_FOUND),
            Failed(jobs[images[2].id], HOST_BUSY),
        ]
    )
    ProductImage.objects.filter(id=images[2].id).update(
        status="FAILED", error_code="tls_failed", lease_id=None, lease_until=None
    )
    ProcessingRequest.objects.filter(id=request.id).update(failed_images=3)
    assert operations.retry(request.id, code="no_such_code") == 0
    assert operations.retry(request.id, host="b.example", code="not_found") == 1
    assert build.statuses(request) == ["PENDING", "FAILED", "FAILED"]
    assert operations.retry(request.id, image_ids=[images[2].id, images[0].id]) == 1
    assert build.statuses(request) == ["PENDING", "FAILED", "PENDING"]
    assert facts(request)[3] == [("not_found", 1)]


def test_a_cancelled_request_is_not_retried() -> None:
    request = ended()
    ProcessingRequest.objects.filter(id=request.id).update(status="CANCELLED")
    before = facts(request)
    assert operations.retry(request.id) == 0
    assert not operations.rerun(request.images.all()[0].id)
    assert facts(request) == before


def test_rerun_of_a_completed_image_takes_its_counts_back() -> None:
    request = ended()
    image = request.images.order_by("id")[0]
    assert operations.rerun(image.id)
    assert facts(request) == (
        *("PROCESSING", 0, 2, [("not_found", 2)]),
        ["PENDING", "FAILED", "FAILED"],
    )
    assert (request.bytes_in, request.bytes_out) == (0, 0)
    assert not operations.rerun(image.id)


def test_an_output_written_before_a_retry_does_not_end_the_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An image is retried, and done, while the output CSV without it is being written."""
    request = build.request(2)
    first, second = claim()
    record([build.done(first), Failed(second, NOT_FOUND)])
    OrmQ.objects.all().delete()

    def retry_meanwhile(_: Any, of: ProcessingRequest) -> store.Stored:
        operations.retry(of.id)
        record([build.done(job) for job in claim()])
        return store.Stored("out", 1, "ab")

    monkeypatch.setattr(completion, "_write_output", retry_meanwhile)
    assert not completion.complete(request.id)
    assert facts(request)[:3] == ("PROCESSING", 2, 0)
    monkeypatch.setattr(completion, "_write_output", lambda *_: store.Stored("out", 1, "ab"))
    assert completion.complete(request.id)
    assert facts(request)[:3] == ("COMPLETED", 2, 0)


def test_cancel_stops_claims_and_fences_what_is_in_hand() -> None:
    request = build.request(3, webhook_url="http://receiver.example/hook")
    first, second, _ = claim()
    record([build.done(first)])
    assert operations.cancel(request.id)
    assert queued() == ["close_images", "deliver"]
    assert claim() == []
    assert completion.close_images(request.id) == 2
    assert record([build.done(second)]).written == 0
    assert facts(request) == ("CANCELLED", 1, 0, [], ["COMPLETED", "CANCELLED", "CANCELLED"])
    assert request.cancelled_images == 2
    assert [d.event for d in WebhookDelivery.objects.all()] == ["request.cancelled"]
    assert not operations.cancel(request.id)


def test_remove_hides_at_once_and_erases_objects_and_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "BATCH", 2)
    request, other = build.request(3, webhook_url="http://r.example/"), build.request(1)
    for owner in (request, other):
        store.put(f"{owner.id}/one.jpg", b"one", "image/jpeg")
    assert operations.remove(request.id)
    assert not operations.remove(request.id)
    mine = ProcessingRequest.objects.owned_by(request.owner_id)
    assert list(mine) == [other]
    assert {job.request_id for job in claim()} == {other.id}
    assert not WebhookDelivery.objects.exists()

    assert not removal.erase(request.id)
    assert [key for key, _ in store.list_keys(f"{request.id}/")] == []
    assert not ProductImage.objects.filter(request=request).exists()
    assert not Product.objects.filter(request=request).exists()

    # A worker stored what it had in hand; the last walk, later, takes that along too.
    store.put(f"{request.id}/late.jpg", b"late", "image/jpeg")
    assert not removal.erase(request.id)
    late = timezone.now() - timedelta(seconds=REMAINS_SECONDS + 1)
    ProcessingRequest.objects.filter(id=request.id).update(removed_at=late)
    assert removal.erase(request.id)
    assert [key for key, _ in store.list_keys(f"{request.id}/")] == []
    assert not ProcessingRequest.objects.filter(id=request.id).exists()
    assert build.statuses(other) == ["PROCESSING"]
    assert store.size(f"{other.id}/one.jpg") is not None


def test_a_lost_removal_is_put_back_by_the_sweep() -> None:
    request = build.request(1)
    operations.remove(request.id)
    OrmQ.objects.all().delete()
    sweep()
    assert "erase" in queued()


def test_priority_pause_and_resume() -> None:
    request = build.request(1)
    assert operations.set_priority(request.id, Priority.HIGH)
    request.refresh_from_db()
    assert request.priority == "high"
    operations.pause(Switch.WORKERS)
    assert claim() == []
    operations.resume(Switch.WORKERS)
    assert len(claim()) == 1
    operations.cancel(request.id)
    assert not operations.set_priority(request.id, Priority.LOW)


def test_redeliver_starts_the_schedule_again() -> None:
    request = build.request(1, webhook_url="http://receiver.example/hook")
    operations.cancel(request.id)
    delivery = WebhookDelivery.objects.get()
    WebhookDelivery.objects.update(status="FAILED", attempts=10, finished_at=timezone.now())
    OrmQ.objects.all().delete()
    assert operations.redeliver(delivery.id)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts, delivery.finished_at) == ("PENDING", 0, None)
    assert queued() == ["deliver"]
