"""A task that is enqueued is heard of at once, when its transaction is committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.db import OperationalError, connection, transaction

from imageproc.workers import queue
from imageproc.workers.wakeup import Listener, ring
from tests.settings import TEST_DATABASE

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(TEST_DATABASE == "sqlite", reason="SQLite tells nobody"),
]
NEVER = 30.0


@pytest.fixture
def listener() -> Listener:
    listener = Listener("images")
    listener.wait(0.0)  # listens from here on
    return listener


@pytest.fixture
def meanwhile() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Runs something on a thread, and thus on a connection, of its own."""
    threads: list[threading.Thread] = []

    def start(call: Callable[[], object]) -> None:
        def run() -> None:
            try:
                call()
            finally:
                connection.close()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def waited(listener: Listener, seconds: float = NEVER) -> float:
    started = time.monotonic()
    listener.wait(seconds)
    return time.monotonic() - started


def test_a_new_task_is_heard_when_it_is_committed(
    listener: Listener, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    def enqueue_slowly() -> None:
        with transaction.atomic():
            queue.enqueue_pump()
            time.sleep(0.5)

    meanwhile(enqueue_slowly)
    assert 0.4 < waited(listener) < NEVER / 2
    assert queue.waiting(queue.IMAGES) == 1


def test_what_rings_between_two_waits_is_heard(listener: Listener) -> None:
    ring("images")
    assert waited(listener) < NEVER / 2


def test_others_are_not_heard(listener: Listener) -> None:
    ring("control")
    assert waited(listener, 0.2) >= 0.2


def test_a_new_connection_hears_too(
    listener: Listener, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    connection.close()
    listener.wait(0.0)
    meanwhile(lambda: ring("images"))
    assert waited(listener) < NEVER / 2


def test_a_lost_connection_is_an_error_of_django(
    listener: Listener, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()

    def end() -> None:
        time.sleep(0.2)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

    meanwhile(end)
    with pytest.raises(OperationalError):
        listener.wait(NEVER)
    connection.close()
