"""Requests that share objects are made, repeated and removed side by side while workers die."""

from __future__ import annotations

import random
import time

import pytest
import requests

from tests.faults.checker import judge_shared
from tests.faults.ground import Ground, kill
from tests.faults.ledger import SEED, Ledger

pytestmark = pytest.mark.timeout(3000)
LONG = pytest.mark.faults
ROLES = ("images.worker", "images.worker", "control.worker")


@pytest.mark.parametrize(
    ("images", "kills"), [(40, 6), pytest.param(400, 200, marks=LONG)], ids=["short", "long"]
)
def test_shared_objects_outlive_kills(
    ground: Ground, ledger: Ledger, images: int, kills: int
) -> None:
    dice, made, kept = random.Random(SEED), list[str](), list[str]()
    urls = list(ground.good(images))
    for round_ in range(kills):
        # Half of them stand in every request, and some stand twice in one.
        chosen = urls[: images // 2] + dice.sample(urls, images // 4)
        made.append(ground.upload_again(chosen))
        kept.append(made[-1])
        if len(kept) > 2:
            remove(ground, kept.pop(dice.randrange(len(kept))))
        time.sleep(dice.uniform(0.1, 0.6))
        victims = ground.victims(ROLES[round_ % len(ROLES)])
        if victims:
            kill(dice.choice(victims))
    ground.until(lambda: not ground.unsettled(), 240)
    # The second look for what workers stored late would come ten minutes later.
    ground.change(
        "UPDATE imageproc_processingrequest SET removed_at = removed_at - interval '1 hour'"
    )
    ground.until(ground.collected, 120)
    verdict = judge_shared(ground.database_url, kept, ground.objects_of(made))
    shared = (
        "SELECT count(DISTINCT output_key), count(*) FROM imageproc_productimage"
        " WHERE request_id = ANY(%s::uuid[])"
    )
    [(objects, rows)] = ground.query(shared, kept)
    for request_id in kept:
        remove(ground, request_id)
    ground.change(
        "UPDATE imageproc_processingrequest SET removed_at = removed_at - interval '1 hour'"
    )
    ground.until(lambda: ground.collected() and not ground.objects_of(made), 120)
    ledger.close(verdict, kills=kills, objects=objects, rows=rows)
    assert objects < rows


def remove(ground: Ground, request_id: str) -> None:
    service = ground.service
    address = f"{service.address}/api/requests/{request_id}"
    requests.delete(address, headers=service.headers, timeout=30).raise_for_status()
