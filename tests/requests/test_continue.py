"""A cancelled request is continued: whole, once, and however far its rows were written."""

from __future__ import annotations

import pytest
from django.db.models import F

from imageproc.intake import ingest as ingestion
from imageproc.models import ImageStatus, ProcessingRequest, RequestStatus
from imageproc.requests import completion, operations
from tests.support import build

pytestmark = pytest.mark.django_db
CSV = b"S. No.,Product Name,Input Image Urls\n" + b"".join(
    b"P%d,Shoe,https://shop.example/%d.jpg\n" % (n, n) for n in range(1, 6)
)


def counters(of: ProcessingRequest) -> tuple[str, int, int]:
    of.refresh_from_db()
    return of.status, of.completed_images, of.cancelled_images


def test_its_cancelled_images_are_due_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "BATCH", 2)
    made = build.request(6)
    first = made.images.order_by("id")[0]
    made.images.filter(id=first.id).update(status=ImageStatus.FAILED, error_code="not_found")
    ProcessingRequest.objects.filter(id=made.id).update(failed_images=1)
    operations.cancel(made.id)
    assert operations.continue_cancelled(made.id) == 0  # its images are still being cancelled
    assert completion.close_images(made.id) == 5
    assert counters(made) == (RequestStatus.CANCELLED, 0, 5)

    assert operations.continue_cancelled(made.id) == 5

    assert counters(made) == (RequestStatus.PROCESSING, 0, 0)
    assert build.statuses(made) == [build.FAILED] + [build.PENDING] * 5
    assert (made.error_message, made.completed_at, made.lease_id) == ("", None, None)
    assert operations.continue_cancelled(made.id) == 0


@pytest.mark.parametrize("written", [0, 2])
def test_rows_that_were_not_written_follow(written: int) -> None:
    made = build.accepted(CSV)
    if written:
        monkey = iter([False] * written + [True])
        ingestion.CHUNK, chunk = 1, ingestion.CHUNK
        try:
            ingestion.ingest(made.id, lambda: next(monkey))
        finally:
            ingestion.CHUNK = chunk
    assert made.images.count() == written
    operations.cancel(made.id)
    completion.close_images(made.id)
    assert counters(made) == (RequestStatus.CANCELLED, 0, 5)

    assert operations.continue_cancelled(made.id) == 5

    started = RequestStatus.PROCESSING if written else RequestStatus.PENDING
    assert counters(made) == (started, 0, 0)
    assert ingestion.ingest(made.id) == 5 - written
    assert counters(made) == (RequestStatus.PROCESSING, 0, 0)
    assert build.statuses(made) == [build.PENDING] * 5
    assert made.ingested_products == made.total_products


def test_a_process_that_died_half_way_leaves_a_request_that_ends_and_continues() -> None:
    """As after a kill between two batches: two images are put back, two are still cancelled."""
    made = build.request(4)
    operations.cancel(made.id)
    completion.close_images(made.id)
    two = list(made.images.order_by("id").values_list("id", flat=True)[:2])
    assert ProcessingRequest.objects.continue_cancelled(made.id, 2)
    assert made.images.put_back_cancelled(two) == 2
    made.images.filter(id__in=two).update(status=ImageStatus.FAILED, error_code="not_found")
    ProcessingRequest.objects.filter(id=made.id).update(failed_images=F("failed_images") + 2)
    assert ProcessingRequest.objects.settled().filter(id=made.id).exists()
    ProcessingRequest.objects.fail(made.id, "none")
    assert operations.continue_cancelled(made.id) == 2
    assert counters(made) == (RequestStatus.PROCESSING, 0, 0)
