"""Cancel, retry, rerun, remove and completion over images in every mixture of states.

Judged by the rows: the counters, the tallies and the bytes must be those that a recount finds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from imageproc.faults import NOT_FOUND, TLS_FAILED, TOO_LARGE
from imageproc.images.claim import claim
from imageproc.images.outcome import Failed
from imageproc.images.record import record
from imageproc.images.sweep import sweep
from imageproc.models import (
    FailureTally,
    MinuteTally,
    ProcessingRequest,
    ProductImage,
    WebhookDelivery,
)
from imageproc.requests import completion, operations, removal
from tests.support import build

pytestmark = pytest.mark.django_db
STATES = ("PENDING", "PROCESSING", "COMPLETED", "FAILED")
HOOK = "http://receiver.example/hook"


def mixed(states: tuple[str, ...], **fields: Any) -> ProcessingRequest:
    """A request with an image in each of these states, brought there by the service itself."""
    fields = {"webhook_url": HOOK, "ingested_at": timezone.now()} | fields
    of = build.request(len(states), **fields)
    images, lease_id = list(of.images.order_by("id")), uuid4()
    held = [i.id for i, state in zip(images, states, strict=True) if state != "PENDING"]
    ProductImage.objects.lease(held, lease_id, 60)
    jobs = [build.job_of(image, lease_id) for image in images]
    outcomes: list[Any] = []
    for number, (job, state) in enumerate(zip(jobs, states, strict=True)):
        if state == "COMPLETED":
            outcomes.append(build.done(job, size=100 + number))
        elif state == "FAILED":
            outcomes.append(Failed(job, NOT_FOUND))
    record(outcomes)
    assert build.statuses(of) == list(states)
    OrmQ.objects.all().delete()
    return of


def recount(of: ProcessingRequest) -> None:
    """What the request says of its images is what its images say."""
    of.refresh_from_db()
    rows = list(of.images.all())
    states = Counter(row.status for row in rows)
    done = [row for row in rows if row.status == "COMPLETED"]
    assert (of.completed_images, of.failed_images, of.cancelled_images) == (
        *(states["COMPLETED"], states["FAILED"], states["CANCELLED"]),
    )
    assert of.bytes_in == sum(row.input_size or 0 for row in done)
    assert of.bytes_out == sum(row.output_size or 0 for row in done)
    failed = Counter((r.error_code, r.host) for r in rows if r.status == "FAILED")
    tallies = FailureTally.objects.filter(request=of)
    assert {(t.error_code, t.host): t.images for t in tallies} == dict(failed)


def queued() -> list[str]:
    return sorted(task.func().rpartition(".")[2] for task in OrmQ.objects.all())


ALL = list(product(STATES, repeat=2))


@pytest.mark.parametrize("states", ALL)
def test_cancel(states: tuple[str, ...]) -> None:
    other, of = mixed(("PENDING", "FAILED")), mixed(states)
    OrmQ.objects.all().delete()
    assert operations.cancel(of.id)
    assert queued() == ["close_images", "deliver"]
    still_open = [s for s in states if s in ("PENDING", "PROCESSING")]
    assert completion.close_images(of.id) == len(still_open)
    expected = ["CANCELLED" if s in ("PENDING", "PROCESSING") else s for s in states]
    assert build.statuses(of) == expected
    recount(of)
    assert (of.status, of.error_message) == ("CANCELLED", "The request was cancelled.")
    assert not of.images.exclude(lease_id=None).exists()
    assert build.statuses(other) == ["PENDING", "FAILED"]
    recount(other)
    assert WebhookDelivery.objects.get().request_id == of.id
    assert not operations.cancel(of.id)
    assert completion.close_images(of.id) == 0


@pytest.mark.parametrize("states", ALL)
def test_retry(states: tuple[str, ...]) -> None:
    other, of = mixed(("COMPLETED", "FAILED")), mixed(states)
    assert operations.retry(of.id) == states.count("FAILED")
    assert build.statuses(of) == ["PENDING" if s == "FAILED" else s for s in states]
    recount(of)
    assert of.status == "PROCESSING"
    assert build.statuses(other) == ["COMPLETED", "FAILED"]
    recount(other)
    assert operations.retry(of.id) == 0


@pytest.mark.parametrize("states", [(a, "COMPLETED") for a in STATES])
def test_rerun_of_the_first(states: tuple[str, ...]) -> None:
    of = mixed(states)
    first = of.images.order_by("id")[0]
    moved = states[0] in ("COMPLETED", "FAILED")
    assert operations.rerun(first.id) is moved
    assert build.statuses(of) == ["PENDING" if moved else states[0], "COMPLETED"]
    recount(of)


@pytest.mark.parametrize("states", ALL)
def test_completion(states: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only once every image is final; FAILED only where no image succeeded."""
    monkeypatch.setattr("imageproc.requests.report.output_file", lambda _: iter([b"csv"]))
    of = mixed(states)
    settled = not {"PENDING", "PROCESSING"} & set(states)
    assert completion.complete(of.id) is settled
    recount(of)
    ended = "COMPLETED" if "COMPLETED" in states else "FAILED"
    assert of.status == (ended if settled else "PROCESSING")
    assert (of.completed_at is not None, of.output_csv != "") == (settled, settled)
    assert (of.lease_id, of.lease_until, of.task_attempts) == (None, None, 0)
    events = WebhookDelivery.objects.values_list("request", "event", "url")
    assert list(events) == ([(of.id, f"request.{ended.lower()}", HOOK)] if settled else [])
    assert completion.complete(of.id) is False
    assert WebhookDelivery.objects.count() == int(settled)


@pytest.mark.parametrize("states", ALL)
def test_remove(states: tuple[str, ...]) -> None:
    other, of = mixed(("PENDING", "FAILED")), mixed(states, idempotency_key="k")
    OrmQ.objects.all().delete()
    assert operations.remove(of.id)
    assert queued() == ["erase"]
    of.refresh_from_db()
    assert (of.status, of.webhook_url, of.idempotency_key) == ("CANCELLED", "", None)
    assert not operations.remove(of.id)
    assert not operations.cancel(of.id)
    assert operations.retry(of.id) == 0
    assert not operations.rerun(of.images.all()[0].id)
    assert {job.request_id for job in claim()} == {other.id}
    removal.erase(of.id)
    assert not of.images.exists()
    assert not of.products.exists()
    assert not of.tallies.exists()
    assert (other.images.count(), other.products.count(), other.tallies.count()) == (2, 2, 1)


def test_an_ended_request_is_removed_as_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imageproc.requests.report.output_file", lambda _: iter([b"csv"]))
    of = mixed(("COMPLETED", "FAILED"))
    completion.complete(of.id)
    assert operations.remove(of.id)
    of.refresh_from_db()
    assert (of.status, of.error_message) == ("COMPLETED", "")


def test_without_an_address_nobody_is_told() -> None:
    of = build.request(1)
    operations.cancel(of.id)
    assert not WebhookDelivery.objects.exists()


# --- Retry: each filter alone, and together -------------------------------------------------------
FAULTS = (NOT_FOUND, TLS_FAILED, TOO_LARGE)


@pytest.fixture
def various() -> ProcessingRequest:
    """Every fault at every host, and the same in another request."""
    requests = [build.request(0, total_products=6, total_images=6) for _ in range(2)]
    for of in requests:
        for number in range(6):
            build.image(of, number + 1, f"{'ab'[number % 2]}.example")
    outcomes: list[Any] = []
    for job in claim():
        number = int(job.url.rpartition("/")[2].partition(".")[0]) - 1
        outcomes.append(Failed(job, FAULTS[number // 2]))
    record(outcomes)
    return requests[0]


Filters = dict[str, Any]


@pytest.mark.parametrize(
    ("filters", "back"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"code": "not_found"}, [0, 1]),
        ({"code": "too_large"}, [4, 5]),
        ({"host": "a.example"}, [0, 2, 4]),
        ({"host": "b.example", "code": "tls_failed"}, [3]),
        ({"host": "c.example"}, []),
        ({"code": ""}, []),
        ({"images": [1, 4]}, [1, 4]),
        ({"images": [1, 4], "host": "a.example"}, [4]),
        ({"images": [1, 4], "code": "not_found"}, [1]),
        ({"images": []}, []),
    ],
)
def test_retry_takes_what_every_filter_leaves(
    various: ProcessingRequest, filters: Filters, back: list[int]
) -> None:
    mine = list(various.images.order_by("id"))
    if "images" in filters:
        filters = dict(filters)
        filters["image_ids"] = [mine[n].id for n in filters.pop("images")]
    assert operations.retry(various.id, **filters) == len(back)
    found = [n for n, status in enumerate(build.statuses(various)) if status == "PENDING"]
    assert found == back
    recount(various)
    assert ProductImage.objects.exclude(request=various).filter(status="FAILED").count() == 6


def test_ids_of_anothers_images_are_left_where_they_are(various: ProcessingRequest) -> None:
    theirs = list(ProductImage.objects.exclude(request=various).values_list("id", flat=True))
    mine = various.images.order_by("id")[0]
    assert operations.retry(various.id, image_ids=theirs) == 0
    assert operations.retry(various.id, image_ids=[*theirs, mine.id]) == 1
    assert ProductImage.objects.filter(id__in=theirs, status="FAILED").count() == 6


# --- What the sweep puts back ---------------------------------------------------------------------
Waiting = Callable[[], Any]


def cancelled() -> None:
    of = mixed(("PENDING",))
    ProcessingRequest.objects.cancel(of.id)


WAITING: dict[str, tuple[Waiting, set[str]]] = {
    "pump": (lambda: mixed(("PENDING",)), {"pump"}),
    "complete": (lambda: mixed(("COMPLETED",)), {"complete"}),
    "close": (cancelled, {"close_images"}),
    "erase": (lambda: operations.remove(mixed(("PENDING",)).id), {"erase"}),
    "deliver": (lambda: operations.cancel(mixed(("COMPLETED",)).id), {"deliver"}),
}


@pytest.mark.parametrize("name", WAITING)
def test_whatever_a_row_waits_for_is_put_back(name: str) -> None:
    waits, tasks = WAITING[name]
    waits()
    OrmQ.objects.all().delete()
    sweep()
    assert set(queued()) == tasks


def test_what_ends_is_counted_by_the_minute() -> None:
    mixed(("PENDING", "PROCESSING", "COMPLETED", "FAILED", "COMPLETED"))
    rows = MinuteTally.objects.order_by("code").values_list("code", "images")
    assert list(rows) == [("", 2), ("not_found", 1)]
    sizes = MinuteTally.objects.order_by("code").values_list("bytes_in", "bytes_out")
    assert list(sizes) == [(4 * (102 + 104), 102 + 104), (0, 0)]
