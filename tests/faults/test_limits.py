"""Hosts with limits: no image fails of them, and they are asked little more than once for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.faults.ground import Ground
from tests.faults.ledger import Ledger
from tests.faults.trees import Web
from tests.support.limited import LimitedOrigin
from tests.support.servers.postgres import Postgres

pytestmark = pytest.mark.timeout(3000)
LONG = pytest.mark.faults

# What the origin does above its rate.
MANNERS: dict[str, dict[str, Any]] = {
    "429 with Retry-After": {"retry_after": "1"},
    "429 without": {},
    "503": {"status": 503},
    "ban as 429": {"retry_after": "1", "ban": 50},
    "ban as 403": {"ban": 50, "ban_status": 403},
}
SHORT_FORM = ("429 with Retry-After", "ban as 403")


def cases() -> Iterator[Any]:
    """(what the host does, its rate a second, images)"""
    for name in MANNERS:
        if name in SHORT_FORM:
            yield pytest.param(name, 50, 300, id=f"{name}, short")
        yield pytest.param(name, 10, 5000, id=f"{name}, long", marks=LONG)


@pytest.fixture
def visit(_postgres: Postgres) -> Iterator[Callable[..., tuple[Ground, LimitedOrigin]]]:
    """A service of its own, and a host at an address of its own."""
    made: list[tuple[Ground, LimitedOrigin]] = []

    def begin(rate: float = 0, patience: int = 900) -> tuple[Ground, LimitedOrigin]:
        _postgres.start()
        origin = LimitedOrigin("127.0.0.3", rate)
        origin.start()
        ground = Ground(_postgres, None, HOST_PATIENCE=str(patience))
        made.append((ground, origin))
        ground.service.env["OUTBOUND_ALLOW_PORTS"] += f",{origin.port}"
        ground.service.start()
        return ground, origin

    yield begin
    for ground, origin in made:
        ground.close()
        origin.stop()


@pytest.mark.parametrize(("name", "rate", "images"), list(cases()))
def test_a_host_that_allows_so_many_a_second(
    visit: Callable[..., tuple[Ground, LimitedOrigin]],
    ledger: Ledger,
    name: str,
    rate: int,
    images: int,
) -> None:
    ground, origin = visit(rate)
    for attribute, value in MANNERS[name].items():
        setattr(origin, attribute, value)
    request_id = ground.upload(origin.urls(images))
    ground.until(lambda: ground.done(request_id) == images, 3 * images / rate + 120)
    requests, time_of_ideal = len(origin.log) / images, origin.took() / (images / rate)
    ledger.close(
        ground.finish(),
        requests_an_image=round(requests, 3),
        time_of_ideal=round(time_of_ideal, 2),
        answers=dict(origin.answers),
        connections=origin.peak,
    )
    assert requests <= 1.1
    assert origin.peak <= 64
    if images >= 1000:  # a few seconds are too short to tell on a busy machine
        assert time_of_ideal <= 1.2


@LONG
def test_a_sound_host_beside_one_that_is_limited(
    visit: Callable[..., tuple[Ground, LimitedOrigin]], ledger: Ledger
) -> None:
    """It gives its images as fast as it does alone. 400 of its images take long enough to measure,
    and its latency, not this machine's cores, bounds them."""
    ground, origin = visit(10)

    def seconds() -> float:
        request_id = ground.upload(ground.good(400))
        return ground.until(lambda: ground.done(request_id) == 400)

    seconds()  # the workers are at work
    alone = min(seconds() for _ in range(3))
    limited = ground.upload(origin.urls(1000))
    ground.until(lambda: ground.done(limited) > 20)
    beside = min(seconds() for _ in range(3))
    assert ground.done(limited) < 1000
    ledger.close(ground.finish(), rate_of_alone=round(alone / beside, 2))
    assert alone / beside >= 0.95


@LONG
def test_workers_that_are_killed_do_not_make_a_host_be_asked_faster(
    postgres: Postgres, ledger: Ledger
) -> None:
    """Three trees, one of them killed every three seconds: slots are lost, never given twice."""
    origin = LimitedOrigin("127.0.0.3", 20)
    origin.start()
    ground = Ground(postgres, None, kind=Web)
    try:
        ground.service.env["OUTBOUND_ALLOW_PORTS"] += f",{origin.port}"
        ground.service.start()
        for _ in range(3):
            ground.workers()
        request_id = ground.upload(origin.urls(1500))
        kills = 0
        while ground.done(request_id) < 1500:
            time.sleep(3)
            tree = ground.trees[kills % 3]
            tree.kill()
            tree.start()
            kills += 1
        busiest = origin.busiest(10)
        ledger.close(ground.finish(), kills=kills, busiest_10_s=busiest)
        assert busiest <= 1.1 * 20 * 10
    finally:
        ground.close()
        origin.stop()


@pytest.mark.parametrize("seconds", [10, pytest.param(300, marks=LONG)], ids=["short", "long"])
def test_a_host_that_is_down_for_a_while(
    visit: Callable[..., tuple[Ground, LimitedOrigin]], ledger: Ledger, seconds: int
) -> None:
    """No image fails of it, and it is hardly asked meanwhile."""
    ground, origin = visit()
    request_id = ground.upload(origin.urls(1000))
    ground.until(lambda: ground.done(request_id) > 50)
    origin.down = True
    time.sleep(3)  # what was under way has ended
    under_way = origin.refused_connections
    time.sleep(seconds - 3)
    probes = origin.refused_connections - under_way
    origin.down = False
    done, back = ground.done(request_id), time.monotonic()
    ground.until(lambda: ground.done(request_id) > done + 20)
    again = round(time.monotonic() - back, 1)
    ground.until(lambda: ground.done(request_id) == 1000)
    facts: dict[str, Any] = {"down_s": seconds, "under_way": under_way, "probes": probes}
    ledger.close(ground.finish(), up_again_after_s=again, **facts)
    assert probes <= 30
    assert again <= 30


def test_a_host_that_is_down_for_good(
    visit: Callable[..., tuple[Ground, LimitedOrigin]], ledger: Ledger
) -> None:
    """Its images fail with one reason, others are done; "retry" works once it is back."""
    ground, origin = visit(patience=5)
    origin.down = True
    urls = dict.fromkeys(origin.urls(200), "FAILED") | ground.good(40)
    request_id = ground.upload(urls)
    ground.until(lambda: ground.done(request_id) == 240)
    sql = "SELECT error_code, count(*) FROM imageproc_productimage WHERE request_id=%s GROUP BY 1"
    assert dict(ground.query(sql, request_id)) == {"host_down": 200, "": 40}
    connections = origin.refused_connections
    verdict = ground.finish()
    ledger.close(verdict, connections=connections)
    assert connections <= 100
