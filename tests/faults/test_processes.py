"""Processes that are killed, paused, or taken down by an image."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from tests.faults.ground import Ground, kill
from tests.faults.ledger import SEED, Ledger
from tests.support import pictures

pytestmark = pytest.mark.timeout(3000)
LONG = pytest.mark.faults
# "supervisor" is the whole tree: its restart is what a container's policy does. Each role as often
# as its weight.
FEW = ("images.worker", "images.guard", "images.main", "images.helper", "supervisor")
ALL = (
    *("images.worker", "images.worker", "images.worker", "images.guard", "images.main"),
    *("images.helper", "images.helper", "images.keeper"),
    *("control.worker", "control.guard", "control.main"),
    "supervisor",
)


@pytest.mark.parametrize(
    ("images", "kills", "roles"),
    [(300, 5, FEW), pytest.param(10_000, 200, ALL, marks=LONG)],
    ids=["short", "long"],
)
def test_random_processes_are_killed(
    ground: Ground, ledger: Ledger, images: int, kills: int, roles: tuple[str, ...]
) -> None:
    """Workers above all; helpers, keepers, guards, mains and the supervisor too."""
    dice, recovery, killed = random.Random(SEED), [], Counter[str]()
    request_id = ground.upload(ground.good(images))
    ground.until(lambda: ground.done(request_id) > 0)
    deck: list[str] = []
    while killed.total() < kills:
        if ground.done(request_id) == images:
            request_id = ground.upload(ground.good(images))
            ground.until(lambda r=request_id: ground.done(r) > 0)  # type: ignore[misc]
        deck = deck or dice.sample(roles, len(roles))
        role = deck.pop()
        ground.until(lambda r=role: ground.victims(r), 60)  # type: ignore[misc]
        lost = set() if role.startswith("control") else ground.in_hand()
        victims = ground.victims(role)
        if not victims or not kill(dice.choice(victims)):
            deck.append(role)  # it ended with its cluster just now
            continue
        killed[role] += 1
        if role == "supervisor":
            ground.service.restart()
        if lost:
            recovery.append(ground.recovery(lost))
        time.sleep(dice.uniform(0.1, 0.5))
    ledger.close(ground.finish(600), recovery, images=images, kills=dict(killed))
    assert set(killed) == set(roles)


@pytest.mark.parametrize("rounds", [1, pytest.param(20, marks=LONG)], ids=["short", "long"])
def test_a_paused_worker_writes_nothing_stale(ground: Ground, ledger: Ledger, rounds: int) -> None:
    """Paused past its lease, then resumed: the others have finished its images by then."""
    for _ in range(rounds):
        request_id = ground.upload(ground.good(160))
        ground.until(lambda r=request_id: 0 < ground.done(r) < 160)  # type: ignore[misc]
        worker = ground.processes("images.worker")[0]
        with ground.paused([worker]):
            ground.recovery(ground.in_hand())
            ground.until(lambda r=request_id: ground.done(r) == 160)  # type: ignore[misc]
            sql = "SELECT id, finished_at, attempts FROM imageproc_productimage WHERE request_id=%s"
            before = sorted(ground.query(sql, request_id))
        time.sleep(1.5)
        assert sorted(ground.query(sql, request_id)) == before, "a stale write"
    ledger.close(ground.finish(), rounds=rounds)


@pytest.mark.parametrize("how", ["kill", "eat", "spin"])
@pytest.mark.parametrize("good", [24, pytest.param(200, marks=LONG)], ids=["short", "long"])
def test_a_harmful_image_takes_no_other_along(
    ground: Ground, ledger: Ledger, good: int, how: str
) -> None:
    """We know of no such image, so the codec is wrapped: it kills, eats memory, or spins."""
    file = pictures.jpeg(0, (240, 200)) + f"codec-{how}".encode()
    ground.origin.serve(f"/{how}.jpg", file, content_type="image/jpeg")
    url = f"{ground.origin.url}/{how}.jpg?n={len(ground.promises)}"
    urls = list(ground.good(good).items())
    urls.insert(good // 2, (url, "FAILED"))
    request_id = ground.upload(dict(urls))
    verdict = ground.finish()
    sql = "SELECT error_code, attempts FROM imageproc_productimage WHERE request_id=%s AND "
    [(code, attempts)] = ground.query(sql + "input_url=%s", request_id, url)
    ledger.close(verdict, good=good, code=code, attempts=attempts)
    # One death before anything is known, then three with the image in the codec.
    assert attempts <= 4
    assert code == {"kill": "worker_died", "eat": "too_much_memory", "spin": "too_slow"}[how]
