"""A stop that was asked for costs nothing: neither an image, nor an attempt at one."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.faults.ground import Ground
from tests.faults.ledger import Ledger
from tests.faults.trees import Web, Workers, descendants
from tests.support.servers.postgres import Postgres
from tests.support.servers.rclone import Rclone

pytestmark = pytest.mark.timeout(600)
DRAIN_SECONDS = 10  # of which the pump waits 5 for what is in hand, and records in the rest


@pytest.fixture(scope="module")
def _halves(_postgres: Postgres, _rclone: Rclone) -> Iterator[Ground]:
    _postgres.start()
    _rclone.start()
    ground = Ground(_postgres, _rclone, kind=Web, DRAIN_SECONDS=str(DRAIN_SECONDS))
    ground.service.start()
    yield ground
    ground.close()


@pytest.fixture
def halves(_halves: Ground) -> Iterator[Ground]:
    """A web server, and no workers but those of the test."""
    yield _halves
    for tree in _halves.trees:
        tree.stop()


def stop(tree: Workers) -> float:
    """SIGTERM; the seconds to the tree's end, which must be whole and in time."""
    below = descendants(tree.pid, "")
    started = time.monotonic()
    tree.signal(signal.SIGTERM)
    assert tree.ends(DRAIN_SECONDS + 10) == 0
    took = time.monotonic() - started
    assert [process for process in below if process.is_running()] == []
    return took


ROW = "SELECT status, attempts, lost_count, lease_id IS NULL, next_attempt_at <= now(), count(*)"
STATES = f"{ROW} FROM imageproc_productimage WHERE request_id=%s GROUP BY 1, 2, 3, 4, 5 ORDER BY 1"


def test_what_is_in_hand_ends_and_the_rest_is_handed_back(halves: Ground, ledger: Ledger) -> None:
    """24 images end within the drain, 120 would not: those begun are handed back at its end, those
    not begun at once. All are another worker's to claim as soon as the stop is over."""
    halves.origin.waits |= {"quick": 1500, "slow": 60_000}
    quick, slow = halves.good(24, wait="quick"), halves.good(120, wait="slow")
    tree = halves.workers()
    # Two workers that have worked: the first image costs a process seconds on a busy machine.
    warmed = halves.upload(halves.good(40))
    halves.until(lambda: halves.done(warmed) == 40)
    request_id = halves.upload({**quick, **slow})
    halves.until(lambda: all(halves.origin.hits[urlsplit(url).path] for url in quick))
    halves.until(lambda: len(halves.in_hand()) >= 60)
    [(now,)] = halves.query("SELECT now()")
    tree.signal(signal.SIGTERM)
    free = "SELECT count(*) FROM imageproc_productimage WHERE status='PENDING'"
    halves.until(lambda: halves.query(f"{free} AND next_attempt_at > %s", now)[0][0] > 0, 10)
    assert tree.running, "those not begun waited for those begun"
    took = stop(tree)
    assert halves.query(STATES, request_id) == [
        ("COMPLETED", 1, 0, True, True, 24),
        ("PENDING", 0, 0, True, True, 120),
    ]
    halves.origin.waits.clear()
    halves.workers()
    ledger.close(halves.finish(), stop_s=round(took, 1), handed_back=120)
    assert halves.query(STATES, request_id) == [("COMPLETED", 1, 0, True, True, 144)]


def test_two_trees_restarted_one_after_the_other(halves: Ground, ledger: Ledger) -> None:
    """A new version is rolled out over two hosts while a request runs."""
    old = [halves.workers(), halves.workers()]
    halves.origin.waits["long"] = 800
    images = 800
    request_id = halves.upload(halves.good(images, wait="long"))
    halves.until(lambda: halves.done(request_id) > 0)
    for tree in old:
        stop(tree)
        assert halves.done(request_id) < images, "nothing was running at the stop"
        halves.workers()
    ledger.close(halves.finish(), images=images, restarts=len(old))
    assert halves.query(STATES, request_id) == [("COMPLETED", 1, 0, True, True, images)]
