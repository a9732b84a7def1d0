"""Outcomes to rows: fenced, counted, and never a false success."""

from dataclasses import fields, replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django_q.models import OrmQ

from imageproc.faults import CONNECT_FAILED, HOST_BUSY, NOT_FOUND
from imageproc.images.claim import claim
from imageproc.images.outcome import Done, Failed
from imageproc.images.record import record
from imageproc.models import FailureTally, ImageStatus, ProcessingRequest, ProductImage
from tests.support import build

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
APART = ("job", "asked_at", "asked", "etag", "last_modified", "picture_id")
FACTS = [field.name for field in fields(Done) if field.name not in APART]


def counters(of: ProcessingRequest) -> tuple[int, int, int, int]:
    of.refresh_from_db()
    return of.completed_images, of.failed_images, of.bytes_in, of.bytes_out


def test_a_done_image_is_completed_with_its_facts_and_counted() -> None:
    of = build.request(images=1)
    [job] = claim()
    assert record([build.done(job)]).written == 1
    row = of.images.get()
    assert (row.status, row.output_size, row.output_sha256) == (build.COMPLETED, 500, "ab" * 32)
    assert (row.lease_id, row.lease_until, row.error_code) == (None, None, "")
    assert row.compression_ratio == 0.25
    assert counters(of) == (1, 0, 2000, 500)


def test_what_is_written_reads_back_to_the_letter() -> None:
    build.request(images=2)
    [first, second] = claim()
    done = replace(build.done(first), output_key="""a/"1"\\n'2'-%s-{é}.jpg""", fetch_ms=0)
    record([done, Failed(second, HOST_BUSY.because('"busy" \\ é %s'), 7)])
    row, other = ProductImage.objects.order_by("id")
    assert {name: getattr(row, name) for name in FACTS} == {
        name: getattr(done, name) for name in FACTS
    }
    [entry] = other.attempt_log
    assert (entry["code"], entry["detail"], entry["ms"]) == ("host_busy", '"busy" \\ é %s', 7)
    assert row.finished_at is not None
    assert row.finished_at.isoformat() == entry["at"]  # one clock, to the microsecond
    assert (other.finished_at, other.width, other.output_key) == (None, None, "")


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite takes text of any length")
def test_what_the_database_refuses_fails_alone() -> None:
    of = build.request(images=2)
    [first, second] = claim()
    record([replace(build.done(first), content_type="x" * 41), build.done(second)])
    rows = of.images.order_by("id").values_list("status", "error_code", "content_type")
    assert [*rows] == [(build.PENDING, "internal", ""), (build.COMPLETED, "", "image/jpeg")]


def test_the_last_image_enqueues_the_completion_once() -> None:
    build.request(images=2)
    first, second = claim()
    record([build.done(first)])
    assert OrmQ.objects.count() == 0
    record([build.done(second)])
    assert [task.task["func"] for task in OrmQ.objects.all()] == ["imageproc.tasks.complete"]


def test_a_permanent_fault_fails_at_once_and_is_tallied() -> None:
    of = build.request(images=1)
    [job] = claim()
    record([Failed(job, NOT_FOUND.because("404"), 12)])
    row = of.images.get()
    assert (row.status, row.error_code, row.error_message) == (
        build.FAILED,
        "not_found",
        "The host says that there is no such image. Check the link in a browser.",
    )
    assert [(e["code"], e["detail"], e["ms"]) for e in row.attempt_log] == [("not_found", "404", 0)]
    assert counters(of) == (0, 1, 0, 0)
    tally = FailureTally.objects.get()
    assert (tally.error_code, tally.host, tally.images) == ("not_found", "shop.example", 1)


def test_a_transient_fault_waits_and_gives_up_after_the_last_attempt() -> None:
    of = build.request(images=1)
    for attempt in range(1, 6):
        ProductImage.objects.update(next_attempt_at=Now())
        [job] = claim()
        assert job.attempt == attempt
        record([Failed(job, CONNECT_FAILED)])
    row = of.images.get()
    assert (row.status, row.attempts, len(row.attempt_log)) == (build.FAILED, 5, 5)
    assert counters(of)[1] == 1


def test_retry_after_is_honoured() -> None:
    of = build.request(images=1)
    [job] = claim()
    record([Failed(job, HOST_BUSY.because("429", retry_after=900))])
    wait = of.images.get().next_attempt_at - timezone.now()
    assert timedelta(seconds=890) < wait <= timedelta(seconds=901)


@pytest.mark.parametrize("thief", ["another lease", "handed back", "finished", "cancelled"])
def test_a_worker_that_lost_its_lease_writes_nothing(thief: str) -> None:
    of = build.request(images=1)
    [job] = claim()
    images = ProductImage.objects.filter(id=job.image_id)
    if thief == "another lease":
        images.update(lease_id=uuid4())
    elif thief == "handed back":
        images.hand_back([job.image_id], [job.lease_id])
    elif thief == "finished":
        record([build.done(job, size=900)])
    else:
        images.cancel([job.image_id])
    before = images.values().get(), counters(of)
    assert record([build.done(job)]).written == 0
    assert (images.values().get(), counters(of)) == before


def test_counters_equal_a_recount_over_two_requests() -> None:
    requests = [build.request(images=4), build.request(images=6)]
    jobs = claim()
    outcomes = [
        build.done(job, size=100 + n) if n % 3 else Failed(job, NOT_FOUND)
        for n, job in enumerate(jobs)
    ]
    assert record(outcomes).written == 10
    for of in requests:
        rows = list(of.images.all())
        done = [row for row in rows if row.status == ImageStatus.COMPLETED]
        sizes = sum(r.input_size or 0 for r in done), sum(r.output_size or 0 for r in done)
        assert counters(of) == (len(done), len(rows) - len(done), *sizes)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "DONE"},
        {"status": "PROCESSING"},
        {"status": "PENDING", "lease_id": "9" * 32},
        {"status": "COMPLETED"},
        {"status": "FAILED"},
    ],
)
def test_the_database_refuses_wrong_states_of_an_image(wrong: dict[str, str]) -> None:
    of = build.request(images=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        of.images.update(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "DONE"},
        {"priority": "urgent"},
        {"completed_images": 2},
        {"failed_images": 1, "cancelled_images": 1},
        {"status": "COMPLETED"},
        {"ingested_products": 2},
    ],
)
def test_the_database_refuses_wrong_states_of_a_request(wrong: dict[str, str]) -> None:
    of = build.request(images=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        ProcessingRequest.objects.filter(id=of.id).update(**wrong)


def test_the_database_refuses_a_second_image_at_a_position() -> None:
    of = build.request(images=1)
    row = of.images.get()
    with pytest.raises(IntegrityError), transaction.atomic():
        ProductImage.objects.create(
            request=of, product=row.product, position=1, input_url="http://x/", host="x"
        )
