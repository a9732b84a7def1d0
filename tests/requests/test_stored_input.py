"""A stored input that is not the one that was uploaded is a loss, said in one sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from imageproc.faults import INPUT_CHANGED, INPUT_LOST, INPUT_UNREADABLE
from imageproc.images import store
from imageproc.images.claim import claim
from imageproc.images.record import record
from imageproc.intake import ingest
from imageproc.models import ProcessingRequest
from imageproc.requests import completion, report, stored_input
from tests.support import build

pytestmark = pytest.mark.django_db
HEADER = b"S. No.,Product Name,Input Image Urls\n"
FILE = HEADER + b"".join(
    b'%d,"Shoe, red",http://shop.example/%d.jpg\n' % (number, number) for number in range(1, 21)
)


def cut_at_a_row(file: bytes) -> bytes:
    return b"".join(file.splitlines(keepends=True)[:11])


def cut_in_a_quoted_cell(file: bytes) -> bytes:
    return file[: file.rindex(b"red")]


def cut_in_half(file: bytes) -> bytes:
    return file[: len(file) // 2]


def one_byte_changed(file: bytes) -> bytes:
    return file.replace(b"/7.jpg", b"/8.jpg")


def longer(file: bytes) -> bytes:
    return file + b"21,Shoe,http://shop.example/21.jpg\n"


def empty(file: bytes) -> bytes:
    return b""


DAMAGES = [cut_at_a_row, cut_in_a_quoted_cell, cut_in_half, one_byte_changed, longer, empty]
Damage = Callable[[bytes], bytes]


def damage(request: ProcessingRequest, how: Damage) -> None:
    store.put(request.input_csv, how(FILE), "text/csv")


def done(request: ProcessingRequest) -> None:
    """Every row written, every image done."""
    assert ingest.ingest(request.id) == 20
    record([build.done(job) for job in claim()])


def ends_as(request: ProcessingRequest) -> tuple[str, str]:
    request.refresh_from_db()
    return request.status, request.error_message


def test_size_and_digest_are_on_the_request() -> None:
    request = build.accepted(HEADER + b"1,Shoe,http://shop.example/1.jpg\n")
    assert (request.input_size, request.input_sha256) == (
        70,
        "79590cfb4b2d41f9ca4970bf39f327288810a1281afb0d1670c4cf6365f721c5",
    )


@pytest.mark.parametrize("in_memory", [8, 1 << 20])
@pytest.mark.parametrize("how", DAMAGES)
def test_before_the_ingest(how: Damage, in_memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_input, "IN_MEMORY", in_memory)
    request = build.accepted(FILE)
    damage(request, how)
    assert ingest.ingest(request.id) == 0
    assert ends_as(request) == ("FAILED", INPUT_CHANGED.sentence)
    assert request.images.count() == 0


@pytest.mark.parametrize("in_memory", [8, 1 << 20])
@pytest.mark.parametrize("how", DAMAGES)
def test_before_the_completion(
    how: Damage, in_memory: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_input, "IN_MEMORY", in_memory)
    request = build.accepted(FILE)
    done(request)
    damage(request, how)
    assert completion.complete(request.id)
    assert ends_as(request) == ("FAILED", INPUT_CHANGED.sentence)
    assert [key for key, _ in store.list_keys(f"{request.id}/")] == [request.input_csv]


def test_between_two_chunks_of_the_ingest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "CHUNK", 8)
    request = build.accepted(FILE)
    stops = iter([False, True])
    assert ingest.ingest(request.id, stop=lambda: next(stops)) == 8
    damage(request, one_byte_changed)
    assert ingest.ingest(request.id) == 0
    assert ends_as(request) == ("FAILED", INPUT_CHANGED.sentence)
    assert request.images.count() == 8


def test_a_file_that_is_gone() -> None:
    waiting, ready = build.accepted(FILE), build.accepted(FILE)
    done(ready)
    store.delete_many([waiting.input_csv, ready.input_csv])
    assert ingest.ingest(waiting.id) == 0
    assert completion.complete(ready.id)
    assert ends_as(waiting) == ends_as(ready) == ("FAILED", INPUT_LOST.sentence)


@pytest.mark.parametrize("how", [cut_at_a_row, cut_in_a_quoted_cell, empty])
def test_a_request_from_before_the_digest_was_kept(how: Damage) -> None:
    request = build.accepted(FILE)
    ProcessingRequest.objects.update(input_size=None, input_sha256="")
    damage(request, how)
    ingest.ingest(request.id)
    assert ends_as(request) == ("FAILED", INPUT_UNREADABLE.sentence)


def test_a_whole_file_longer_than_what_is_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_input, "IN_MEMORY", 100)
    request = build.accepted(FILE)
    done(request)
    assert completion.complete(request.id)
    assert ends_as(request) == ("COMPLETED", "")
    assert b"".join(report.input_csv(request)) == FILE


def test_a_download_of_what_is_lost_is_404(settings: object) -> None:
    request = build.accepted(FILE)
    ProcessingRequest.objects.update(owner=build.owner("local"))
    damage(request, cut_at_a_row)
    for name in ("input.csv", "output.csv", "failed.csv"):
        answer = Client().get(f"/api/requests/{request.id}/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
