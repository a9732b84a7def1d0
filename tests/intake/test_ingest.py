"""An ingest that cannot get on is given up; an outage of ours is waited out."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.db import OperationalError

from imageproc import intake
from imageproc.faults import INGEST_DIED, STORAGE_FAILED
from imageproc.images import store
from imageproc.intake import ingest as ingestion
from imageproc.models import ProcessingRequest, RequestStatus
from tests.support import build

pytestmark = pytest.mark.django_db
ROWS = b"S. No.,Product Name,Input Image Urls\n" + b"".join(
    b"%d,Shoe,http://shop.example/%d.jpg\n" % (n, n) for n in range(1, 6)
)


class Died(BaseException):
    """Stands in for SIGKILL: nothing of the service catches it."""


@pytest.fixture
def accepted(monkeypatch: pytest.MonkeyPatch) -> ProcessingRequest:
    """Five products, written two by two."""
    monkeypatch.setattr(ingestion, "CHUNK", 2)
    return build.accepted(ROWS)


def attempt(request: ProcessingRequest) -> ProcessingRequest:
    """One call of the task; the lease of an attempt that died is over by the next."""
    try:
        ingestion.ingest(request.id)
    except Died:
        ProcessingRequest.objects.update(lease_until="2000-01-01T00:00:00Z")
    request.refresh_from_db()
    return request


def raising(error: BaseException) -> Any:
    def step(*_: object, **__: object) -> None:
        raise error

    return step


def test_one_that_kills_its_process_is_given_up(
    accepted: ProcessingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "insert_rows", raising(Died()))
    for count in (1, 2, 3, 4, 5):
        request = attempt(accepted)
        assert (request.status, request.task_attempts) == (RequestStatus.PROCESSING, count)
    request = attempt(accepted)
    assert (request.status, request.error_message) == (RequestStatus.FAILED, INGEST_DIED.sentence)
    assert request.lease_until is None
    assert not ProcessingRequest.objects.to_ingest().exists()


def test_one_that_gets_on_is_not(
    accepted: ProcessingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies more than five times in all, before and after each chunk."""
    for products in (2, 4, 5):
        with monkeypatch.context() as before_the_chunk:
            before_the_chunk.setattr(ingestion, "insert_rows", raising(Died()))
            attempt(accepted)
        monkeypatch.setattr("imageproc.workers.queue.ensure_pumps", raising(Died()))
        assert attempt(accepted).ingested_products == products
    monkeypatch.undo()
    assert attempt(accepted).ingested_at
    assert accepted.images.count() == 5


@pytest.mark.parametrize(
    "error", [store.StoreError(STORAGE_FAILED), OperationalError("no space left on device")]
)
def test_our_own_outage_costs_no_attempt(
    accepted: ProcessingRequest, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(ingestion, "open_checked", raising(error))
    for _ in range(5):
        request = attempt(accepted)
        assert (request.status, request.task_attempts) == (RequestStatus.PROCESSING, 0)
        assert not ProcessingRequest.objects.free().filter(id=request.id)  # not at once again
        ProcessingRequest.objects.update(lease_until=None)


def test_a_stop_costs_no_attempt(accepted: ProcessingRequest) -> None:
    for _ in range(5):
        ingestion.ingest(accepted.id, stop=lambda: True)
        accepted.refresh_from_db()
        assert (accepted.task_attempts, accepted.ingested_at) == (0, None)
        ProcessingRequest.objects.update(lease_until=None)
    ingestion.ingest(accepted.id)
    assert accepted.images.count() == 5


def test_rows_are_written_in_file_order_in_chunks_of_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ingestion, "CHUNK", 3)
    cells = [("1", 2), ("2", 2), ("3", 5), ("4", 1)]  # (serial number, images)
    cursors: list[int] = []
    monkeypatch.setattr(
        "imageproc.workers.queue.ensure_pumps",
        lambda: cursors.append(ProcessingRequest.objects.get().ingested_products),
    )
    rows = "".join(
        f"{serial},Shoe,{' '.join(f'http://Shop.example/{serial}-{n}.jpg' for n in range(count))}\n"
        for serial, count in cells
    )
    request = build.accepted(b"S. No.,Product Name,Input Image Urls\n" + rows.encode())
    assert ingestion.ingest(request.id) == 4
    assert cursors == [2, 3, 4]
    found = request.images.order_by("id").values_list(
        "product__row_number", "position", "input_url", "host", "status", "request_id"
    )
    assert list(found) == [
        (
            number,
            n + 1,
            f"http://shop.example/{serial}-{n}.jpg",
            "shop.example",
            "PENDING",
            request.id,
        )
        for number, (serial, count) in enumerate(cells, 1)
        for n in range(count)
    ]


def test_a_row_without_an_image_counts_as_one_in_its_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a file of products without images would be one endless transaction."""
    monkeypatch.setattr(ingestion, "CHUNK", 3)
    cursors: list[int] = []
    monkeypatch.setattr(
        "imageproc.workers.queue.ensure_pumps",
        lambda: cursors.append(ProcessingRequest.objects.get().ingested_products),
    )
    rows = b"".join(b"%d,Shoe,,x\n" % number for number in range(1, 8))
    one = b"8,Shoe,http://shop.example/1.jpg,x\n"
    request = build.accepted(b"SKU,Title,Image Src,Note\n" + rows + one)
    assert ingestion.ingest(request.id) == 8
    assert cursors == [3, 6, 8]


def test_a_long_file_name_is_cut_to_what_its_column_holds() -> None:
    """Django cuts the names of forms; the command line passes on what the disk has."""
    name = "é" * 400
    upload = intake.Upload(
        owner_id=build.owner().pk,
        file=io.BytesIO(ROWS),
        file_name=name,
        base_url="http://testserver",
    )
    assert intake.accept(upload).file_name == name[:255]
