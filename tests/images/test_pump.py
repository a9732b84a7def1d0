"""What a pump does at its end with the images in its hands."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings

from imageproc.faults import STORAGE_FAILED, Fault
from imageproc.images import claim as claiming
from imageproc.images import crew, outbox, store, storing
from imageproc.images import pump as pumping
from imageproc.images import record as recording
from imageproc.images import watch as watching
from imageproc.images.crew import InHand, Step
from imageproc.images.job import Job
from imageproc.images.outcome import Outcome
from imageproc.models import ProcessingRequest
from tests.support import build

pytestmark = pytest.mark.django_db
CODEC_SECONDS = 1.0


@pytest.fixture(autouse=True)
def storage_is_there() -> Iterator[None]:
    storing.unavailable.clear()
    yield
    storing.unavailable.clear()


@pytest.fixture
def fetches_end() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def two(
    monkeypatch: pytest.MonkeyPatch, fetches_end: threading.Event
) -> Callable[[], ProcessingRequest]:
    """A request of two images: the first is in the codec for CODEC_SECONDS, the second's host
    never answers."""
    monkeypatch.setattr(pumping, "LAST_WAIT", 0.1)

    def work(in_hand: InHand) -> list[Outcome]:
        if in_hand.job.url.endswith("/1.jpg"):
            in_hand.enter(Step.COMPRESS)
            time.sleep(CODEC_SECONDS)
            return [] if in_hand.dropped else [build.done(in_hand.job)]
        fetches_end.wait(30)
        return []

    monkeypatch.setattr(pumping, "work", work)
    return lambda: build.request(images=2)


def rows_of(request: ProcessingRequest) -> list[tuple[str, int, int]]:
    return list(request.images.order_by("id").values_list("status", "attempts", "lost_count"))


def test_the_codec_is_waited_for_and_a_fetch_is_not(
    two: Callable[[], ProcessingRequest],
) -> None:
    """An image left in the codec would hold up the next pump of this process."""
    request = two()
    assert pumping.Pump(lambda: False).run(0.2) == 1
    assert rows_of(request) == [(build.COMPLETED, 1, 0), (build.PENDING, 0, 0)]


@pytest.mark.parametrize(("drain", "codec"), [(3.0, (build.COMPLETED, 1, 0)), (0.3, None)])
def test_a_stop_waits_no_longer_than_the_drain(
    two: Callable[[], ProcessingRequest],
    monkeypatch: pytest.MonkeyPatch,
    drain: float,
    codec: tuple[str, int, int] | None,
) -> None:
    """What is in the codec still is handed back like the rest, its attempt uncounted."""
    monkeypatch.setattr(settings, "DRAIN_SECONDS", pumping.DRAIN_MARGIN + drain)
    asked = time.monotonic() + 0.3
    request = two()
    started = time.monotonic()
    pumping.Pump(lambda: time.monotonic() > asked).run(60)
    assert time.monotonic() - started < 0.3 + drain + 5
    assert rows_of(request) == [codec or (build.PENDING, 0, 0), (build.PENDING, 0, 0)]


def test_the_last_of_a_request_does_not_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The large request's images are in hand for as long as the small one's is not written."""
    large, small = build.request(images=12), build.request(images=1)
    written: list[list[UUID]] = []
    small_is_written = threading.Event()

    def work(in_hand: InHand) -> list[Outcome]:
        if in_hand.job.request_id == large.id:
            small_is_written.wait(10)
        else:
            time.sleep(1)  # the pump has written once, and begun its longer wait
        return [build.done(in_hand.job)]

    def record(outcomes: Sequence[Outcome]) -> recording.Recorded:
        written.append([outcome.job.request_id for outcome in outcomes])
        small_is_written.set()
        return recording.record(outcomes)

    monkeypatch.setattr(watching, "FIRST_CONNECTIONS", 13)
    monkeypatch.setattr(pumping, "work", work)
    monkeypatch.setattr(outbox, "record", SimpleNamespace(record=record))
    pump = pumping.Pump(lambda: False)
    pump._outbox._seconds = 30.0
    assert pump.run(60) == 13
    assert written[0] == [small.id]
    assert [request_id for some in written[1:] for request_id in some] == [large.id] * 12


def test_images_that_end_together_are_handed_over_together() -> None:
    """A turn of the pump costs the same for one as for all that end within GATHER_SECONDS."""
    hands = crew.Crew(lambda in_hand: [build.done(in_hand.job)])
    jobs = [build.job_of(image) for image in build.request(images=5).images.all()]
    for job in jobs:
        hands.start(job)
    outcomes = hands.finished(wait=10)
    hands.dismiss()
    assert {outcome.job.image_id for outcome in outcomes} == {job.image_id for job in jobs}
    assert hands.in_hand == {}


@pytest.mark.parametrize("another", [False, True])
def test_a_claim_that_reads_much_for_nothing_is_not_repeated_at_once(
    monkeypatch: pytest.MonkeyPatch, fetches_end: threading.Event, another: bool
) -> None:
    """All that is due waits at one host, to which there are connections enough; unless another
    request has come, whose host is free."""
    build.request(images=3)
    asked: list[tuple[Set[str], list[str]]] = []
    claim = claiming.claim

    def noted(limit: int, *, skip: claiming.Skip, **options: Any) -> list[Job]:
        jobs = claim(limit, skip=skip, **options)
        if skip.hosts:
            time.sleep(0.2)  # as if there were a million rows
            if another and not asked:
                counts = dict.fromkeys(("total_products", "ingested_products", "total_images"), 1)
                build.image(build.request(0, **counts), host="another.example")
            asked.append((skip.hosts, [job.host for job in jobs]))
        return jobs

    monkeypatch.setattr(claiming, "claim", noted)
    monkeypatch.setattr(settings, "MAX_PER_HOST", 2)
    monkeypatch.setattr(settings, "WORKERS", 1)
    monkeypatch.setattr(pumping, "LAST_WAIT", 0.1)
    monkeypatch.setattr(pumping, "work", lambda *_: fetches_end.wait(30) and [])
    pumping.Pump(lambda: False).run(2.5)
    busy = {"shop.example"}
    assert asked[0] == (busy, [])
    assert asked[1:2] == [(busy, ["another.example"])] * another
    assert asked[2:] in ([], [(busy, [])])


@pytest.mark.django_db(transaction=True)
def test_an_outage_of_the_storage_costs_no_attempt_and_asks_no_host_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Longer than a pump's time: the first pump hands back what it could not store, the next asks
    for one image only. Then, a host that fails once uses up the first of its attempts."""
    away, fetched = threading.Event(), Counter[UUID]()
    away.set()
    for name in ("FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS"):
        monkeypatch.setattr(storing, name, 0.1)
    monkeypatch.setattr(pumping, "OUTAGE_SECONDS", 1.5)
    monkeypatch.setattr(pumping, "LAST_WAIT", 0.1)

    def put(*_: object, **__: object) -> store.Stored | Fault:
        return STORAGE_FAILED.because("away") if away.is_set() else store.Stored("k", 1, "ab" * 32)

    def work(in_hand: InHand) -> list[Outcome]:
        fetched[in_hand.job.image_id] += 1
        try:
            stored = storing.put(in_hand, in_hand.job.stem, b"picture", "image/jpeg")
        except crew.Dropped:
            return []
        return [build.done(in_hand.job)] if isinstance(stored, store.Stored) else []

    monkeypatch.setattr(store, "put", put)
    monkeypatch.setattr(pumping, "work", work)
    request = build.request(images=30)
    assert pumping.Pump(lambda: False).run(1) == 0
    assert set(rows_of(request)) == {(build.PENDING, 0, 0)}
    first = Counter(fetched)
    assert pumping.Pump(lambda: False).run(1) == 0
    assert (fetched - first).total() == 1
    away.clear()
    assert pumping.Pump(lambda: False).run(10) == 30
    assert set(rows_of(request)) == {(build.COMPLETED, 1, 0)}
    assert max(fetched.values()) <= 3
