"""Storing one object, and waiting out a storage that is away.

An outage of the storage costs an image no attempt, and its host no second request: the thread that
has compressed it keeps the result and tries again until the pump takes the image back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from imageproc import metrics
from imageproc.faults import STORAGE_FAILED, Fault
from imageproc.images import store
from imageproc.images.crew import InHand
from imageproc.models import StoredObject

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")
# The storage took nothing from this process the last time it was asked: do not claim more.
unavailable = threading.Event()
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
# A storage that answers, but has refused this one object for so long, is not away.
REFUSED_SECONDS = 30.0
_LOOK_SECONDS = 0.2


def put(in_hand: InHand, key: str, data: bytes, content_type: str) -> store.Stored | Fault:
    """Store ``data``, however long the storage is away. Raises Dropped.

    A fault means that the storage can be reached and refuses this object.
    """
    return _patiently(in_hand, lambda: store.put(key, data, content_type))


def read(in_hand: InHand, key: str) -> bytes | Fault | None:
    """A whole object, None if there is none; otherwise like ``put``."""

    def look() -> bytes | Fault | None:
        try:
            with store.open_read(key) as stream:
                return stream.read()
        except FileNotFoundError:
            return None
        except store.StoreError as error:
            return error.fault

    return _patiently(in_hand, look)


def holds(in_hand: InHand, objects: Iterable[StoredObject]) -> bool | Fault:
    """Whether the storage has all of these objects; otherwise like ``put``."""
    sizes = [(one.key, one.size) for one in objects]

    def look() -> bool | Fault:
        try:
            return all(store.size(key) == size for key, size in sizes)
        except store.StoreError as error:
            return error.fault

    return _patiently(in_hand, look)


def _patiently(in_hand: InHand, ask: Callable[[], Answer | Fault]) -> Answer | Fault:
    refused_after = time.monotonic() + REFUSED_SECONDS
    pause = FIRST_PAUSE_SECONDS
    while True:
        answer = ask()
        if not isinstance(answer, Fault) or answer.code != STORAGE_FAILED.code:
            unavailable.clear()
            return answer
        _note(answer)
        if time.monotonic() > refused_after and store.probe() is None:
            return answer
        _wait(in_hand, pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _note(fault: Fault) -> None:
    metrics.ATTEMPTS.labels(fault.code).inc()
    if not unavailable.is_set():
        unavailable.set()
        log.warning("the storage takes no results: %s", fault.detail)


def _wait(in_hand: InHand, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        in_hand.go_on()
        time.sleep(_LOOK_SECONDS)
