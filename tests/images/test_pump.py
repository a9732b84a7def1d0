"""What a pump does at its end with the images in its hands."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings

from imageproc.images import claim as claiming
from imageproc.images import crew, sweep
from imageproc.images import pump as pumping
from imageproc.images import record as recording
from imageproc.images.crew import InHand, Step
from imageproc.images.outcome import Outcome
from imageproc.models import ProcessingRequest
from tests.support import build

pytestmark = pytest.mark.django_db
CODEC_SECONDS = 1.0


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

    def work(in_hand: InHand, box: object) -> Outcome | None:
        if in_hand.job.url.endswith("/1.jpg"):
            in_hand.enter(Step.COMPRESS)
            time.sleep(CODEC_SECONDS)
            return None if in_hand.dropped else build.done(in_hand.job)
        fetches_end.wait(30)
        return None

    monkeypatch.setattr(pumping, "work", work)
    return lambda: build.request(images=2)


def told(request: ProcessingRequest) -> list[tuple[str, int, int]]:
    return list(request.images.order_by("id").values_list("status", "attempts", "lost_count"))


def test_the_codec_is_waited_for_and_a_fetch_is_not(
    two: Callable[[], ProcessingRequest],
) -> None:
    """An image left in the codec would hold up the next pump of this process."""
    request = two()
    assert pumping.Pump(lambda: False).run(0.2) == 1
    assert told(request) == [(build.COMPLETED, 1, 0), (build.PENDING, 0, 0)]


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
    assert told(request) == [codec or (build.PENDING, 0, 0), (build.PENDING, 0, 0)]


def test_the_last_of_a_request_does_not_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The large request's images are in hand for as long as the small one's is not written."""
    large, small = build.request(images=12), build.request(images=1)
    written: list[list[UUID]] = []
    small_is_written = threading.Event()

    def work(in_hand: InHand, box: object) -> Outcome:
        if in_hand.job.request_id == large.id:
            small_is_written.wait(10)
        else:
            time.sleep(1)  # the pump has written once, and begun its longer wait
        return build.done(in_hand.job)

    def record(outcomes: Sequence[Outcome]) -> int:
        written.append([outcome.job.request_id for outcome in outcomes])
        small_is_written.set()
        return recording.record(outcomes)

    monkeypatch.setattr(pumping, "work", work)
    monkeypatch.setattr(pumping, "record", SimpleNamespace(record=record))
    pump = pumping.Pump(lambda: False)
    pump._flush_seconds = 30.0
    assert pump.run(60) == 13
    assert written[0] == [small.id]
    assert [request_id for some in written[1:] for request_id in some] == [large.id] * 12


def test_a_death_right_after_the_claim_leaves_its_images_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They are free at once, and none of them is suspect."""
    monkeypatch.setattr(settings, "WORKERS", 1)
    request = build.request(images=3)

    class Died(BaseException):
        pass

    claim = claiming.claim

    def claim_and_die(**options: Any) -> None:
        claim(**options)
        raise Died

    monkeypatch.setattr(claiming, "claim", claim_and_die)
    pump = pumping.Pump(lambda: False)
    with pytest.raises(Died):
        pump.run(1)
    held, left = (build.PROCESSING, 1, 0), (build.PENDING, 0, 0)
    assert sorted(told(request)) == [left, held, held]
    assert sweep.return_wrecked() == 2
    assert sorted(told(request)) == [left, *[(build.PENDING, 1, 0)] * 2]


def test_images_that_end_together_are_told_of_together() -> None:
    """A turn of the pump costs the same for one as for all that end within GATHER_SECONDS."""
    hands = crew.Crew(lambda in_hand: build.done(in_hand.job))
    jobs = [build.job_of(image) for image in build.request(images=5).images.all()]
    for job in jobs:
        hands.start(job)
    told = hands.finished(wait=10)
    hands.dismiss()
    assert {outcome.job.image_id for outcome in told} == {job.image_id for job in jobs}
    assert hands.in_hand == {}


@pytest.mark.parametrize("another", [False, True])
def test_a_host_that_is_passed_over_is_not_read_again_and_again(
    monkeypatch: pytest.MonkeyPatch, fetches_end: threading.Event, another: bool
) -> None:
    """All that is due waits at one host, to which there are connections enough; unless another
    request has come, whose host is free."""
    build.request(images=3)
    asked: list[tuple[set[str], list[str]]] = []
    claim = claiming.claim

    def noted(*, skip_hosts: set[str], **options: Any) -> list[claiming.Job]:
        jobs = claim(skip_hosts=skip_hosts, **options)
        if skip_hosts:
            if another and not asked:
                counts = dict.fromkeys(("total_products", "ingested_products", "total_images"), 1)
                build.image(build.request(0, **counts), host="another.example")
            asked.append((skip_hosts, [job.host for job in jobs]))
        return jobs

    monkeypatch.setattr(claiming, "claim", noted)
    monkeypatch.setattr(crew, "MAX_PER_HOST", 2)
    monkeypatch.setattr(pumping, "LAST_WAIT", 0.1)
    monkeypatch.setattr(pumping, "work", lambda *_: fetches_end.wait(30) and None)
    pumping.Pump(lambda: False).run(2.5)
    busy = {"shop.example"}
    assert asked[0] == (busy, [])
    assert asked[1:2] == [(busy, ["another.example"])] * another
    assert asked[2:] in ([], [(busy, [])])
