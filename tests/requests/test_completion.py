"""A completion that was held up never puts an older table in the place of a newer one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from imageproc.faults import NOT_FOUND
from imageproc.images import store
from imageproc.images.claim import claim
from imageproc.images.outcome import Failed
from imageproc.images.record import record
from imageproc.intake import ingest
from imageproc.models import ProcessingRequest, RequestStatus
from imageproc.requests import completion, operations, report
from tests.support import build

pytestmark = pytest.mark.django_db
ROWS = b"S. No.,Product Name,Input Image Urls\n1,A,http://s.example/1.jpg http://s.example/2.jpg\n"


@pytest.fixture
def settled() -> ProcessingRequest:
    """One image done, one failed; the completion is due."""
    request = build.accepted(ROWS)
    ingest.ingest(request.id)
    first, second = claim()
    record([build.done(first), Failed(second, NOT_FOUND)])
    return request


def while_it_writes(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Let this happen between the look at the rows and the first byte on the storage, once, to
    the next completion; its lease is over by then."""
    whole = report.output_file

    def held_up(request: ProcessingRequest) -> Iterator[bytes]:
        monkeypatch.setattr(report, "output_file", whole)
        chunks = list(whole(request))
        ProcessingRequest.objects.update(lease_until=None)
        happens()
        yield from chunks

    monkeypatch.setattr(report, "output_file", held_up)


def retried(request: ProcessingRequest, done: bool) -> None:
    assert operations.retry(request.id) == 1
    if done:
        [job] = claim()
        record([build.done(job)])


def results(request: ProcessingRequest) -> int:
    """Results named in the output CSV that the request points at."""
    request.refresh_from_db()
    with store.open_read(request.output_csv) as stream:
        return stream.read().count(b"/api/images/")


def test_the_newer_table_stays(settled: ProcessingRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    newer: dict[str, Any] = {}

    def another_ends_it() -> None:
        retried(settled, done=True)
        ProcessingRequest.objects.update(lease_until=None)
        assert completion.complete(settled.id)
        newer.update(ProcessingRequest.objects.values("output_csv", "completed_at").get())

    while_it_writes(monkeypatch, another_ends_it)
    assert not completion.complete(settled.id)
    assert ProcessingRequest.objects.values("output_csv", "completed_at").get() == newer
    assert results(settled) == 2


@pytest.mark.parametrize("done", [True, False])
def test_an_older_table_ends_nothing(
    settled: ProcessingRequest, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    """Images were put back meanwhile; whether they are done again or not."""
    while_it_writes(monkeypatch, lambda: retried(settled, done))
    assert not completion.complete(settled.id)
    settled.refresh_from_db()
    assert (settled.status, settled.output_csv) == (RequestStatus.PROCESSING, "")
    if not done:
        [job] = claim()
        record([build.done(job)])
    ProcessingRequest.objects.update(lease_until=None)
    assert completion.complete(settled.id)
    assert results(settled) == 2


def test_two_at_once_end_it_once(
    settled: ProcessingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    while_it_writes(monkeypatch, lambda: ended.append(completion.complete(settled.id)))
    ended.append(completion.complete(settled.id))
    assert ended == [True, False]
    assert results(settled) == 1
