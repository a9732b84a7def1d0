"""A storage that is away costs an image nothing but time, and its host no second request."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from imageproc.faults import INTERNAL, STORAGE_FAILED, Fault
from imageproc.images import store, storing
from imageproc.images.crew import Dropped, InHand
from tests.support import build

pytestmark = pytest.mark.django_db
REFUSED = STORAGE_FAILED.because("PutObject: SlowDown")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("FIRST_PAUSE_SECONDS", "LONGEST_PAUSE_SECONDS", "_LOOK_SECONDS"):
        monkeypatch.setattr(storing, name, 0.01)
    storing.unavailable.clear()
    yield
    storing.unavailable.clear()


@pytest.fixture
def in_hand() -> InHand:
    return InHand(build.job_of(build.request().images.get()))


class Storage:
    """Answers ``put`` with the faults in order, then stores."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *faults: Fault, away: bool = True) -> None:
        self.faults, self.puts, self.probes = list(faults), 0, 0
        self.away = away
        monkeypatch.setattr(store, "put", self.put)
        monkeypatch.setattr(store, "probe", self.probe)

    def put(self, key: str, data: bytes, content_type: str) -> store.Stored | Fault:
        self.puts += 1
        return self.faults.pop(0) if self.faults else store.Stored(key, len(data), "ab" * 32)

    def probe(self) -> Fault | None:
        self.probes += 1
        return REFUSED if self.away else None


def test_an_outage_is_waited_out(monkeypatch: pytest.MonkeyPatch, in_hand: InHand) -> None:
    monkeypatch.setattr(storing, "REFUSED_SECONDS", -1)
    storage = Storage(monkeypatch, *[REFUSED] * 5)
    assert storing.put(in_hand, "k", b"picture", "image/jpeg") == store.Stored("k", 7, "ab" * 32)
    assert (storage.puts, storage.probes) == (6, 5)
    assert not storing.unavailable.is_set()


def test_no_more_is_claimed_until_a_result_is_taken(
    monkeypatch: pytest.MonkeyPatch, in_hand: InHand
) -> None:
    seen: list[bool] = []
    storage = Storage(monkeypatch, REFUSED, REFUSED)
    put = storage.put

    def watched(*args: Any) -> store.Stored | Fault:
        seen.append(storing.unavailable.is_set())
        return put(*args)

    monkeypatch.setattr(store, "put", watched)
    storing.put(in_hand, "k", b"picture", "image/jpeg")
    assert seen == [False, True, True]
    assert not storing.unavailable.is_set()


def test_a_storage_that_answers_and_refuses_one_object_is_not_away(
    monkeypatch: pytest.MonkeyPatch, in_hand: InHand
) -> None:
    monkeypatch.setattr(storing, "REFUSED_SECONDS", 0.2)
    storage = Storage(monkeypatch, *[REFUSED] * 1000, away=False)
    assert storing.put(in_hand, "k", b"picture", "image/jpeg") == REFUSED
    assert storage.puts > 2
    assert storage.probes == 1


def test_a_fault_that_is_not_the_storage_s_is_not_waited_out(
    monkeypatch: pytest.MonkeyPatch, in_hand: InHand
) -> None:
    storage = Storage(monkeypatch, INTERNAL)
    assert storing.put(in_hand, "k", b"picture", "image/jpeg") == INTERNAL
    assert storage.puts == 1


@pytest.mark.timeout(30)
def test_an_image_that_the_pump_takes_back_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, in_hand: InHand
) -> None:
    monkeypatch.setattr(storing, "LONGEST_PAUSE_SECONDS", 3600)
    monkeypatch.setattr(storing, "FIRST_PAUSE_SECONDS", 3600)
    Storage(monkeypatch, *[REFUSED] * 1000)
    threading.Timer(0.3, lambda: setattr(in_hand, "dropped", True)).start()
    with pytest.raises(Dropped):
        storing.put(in_hand, "k", b"picture", "image/jpeg")
