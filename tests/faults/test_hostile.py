"""Hosts that do their worst, beside one that does well."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from tests.faults.conftest import FETCH_DEADLINE
from tests.faults.ground import Ground
from tests.faults.ledger import Ledger
from tests.support import pictures

pytestmark = pytest.mark.timeout(1800)
# For the clocks of two processes on a busy machine.
SLACK_SECONDS = 2.0
MAX_PER_HOST = 64  # the setting's default


def test_every_kind_ends_as_it_must(ground: Ground, ledger: Ledger) -> None:
    """The same hosts' images, beside sound ones; how fast is the long form's to say."""
    bad = attack(ground, 40)
    ground.upload(ground.good(40))
    verdict = ground.finish(900)
    ledger.close(verdict, hostile=len(bad), **facts(ground, bad))


@pytest.mark.faults
def test_a_flood_slows_nobody_down(ground: Ground, ledger: Ledger) -> None:
    before = rate(ground, 1000)
    bad = attack(ground, 1000)
    ground.until(lambda: ground.hostile.open >= 1)
    together = rate(ground, 1000)
    verdict = ground.finish(900)
    after = rate(ground, 1000)
    ratio = round(together / ((before + after) / 2), 2)
    rates: dict[str, Any] = {"alone": [round(before, 1), round(after, 1)]}
    ledger.close(
        verdict,
        hostile=len(bad),
        ratio=ratio,
        beside_them=round(together, 1),
        **rates,
        **facts(ground, bad),
    )
    assert ground.hostile.peak <= MAX_PER_HOST
    assert ratio >= 0.8


def attack(ground: Ground, count: int) -> dict[str, str]:
    """Upload that many hostile URLs; the code each must end with."""
    ground.hostile.held.clear()
    bad = ground.hostile.urls(count, pictures.jpeg(1, (240, 200)))
    ground.upload(dict.fromkeys(bad, "FAILED"))
    return bad


def facts(ground: Ground, bad: Mapping[str, str]) -> dict[str, Any]:
    """What the origin saw, and the codes; both checked."""
    sql = "SELECT input_url, error_code FROM imageproc_productimage WHERE request_id=%s"
    request = next(p.request_id for p in ground.promises if set(p.urls) == set(bad))
    told = dict(ground.query(sql, request))
    # A host that answers nothing any more is given up, with what still waits for it.
    other = {url: code for url, code in told.items() if code not in (bad.get(url), "host_down")}
    assert other == {}
    assert len(told) == len(bad)
    longest = max(seconds for _, seconds in ground.hostile.held)
    assert longest <= FETCH_DEADLINE + SLACK_SECONDS
    return {
        "longest_hold_s": round(longest, 1),
        "connections_at_once": ground.hostile.peak,
        "codes": dict(Counter(told.values())),
    }


def rate(ground: Ground, images: int) -> float:
    """Sound images a second of one request."""
    started = time.monotonic()
    request_id = ground.upload(ground.good(images))
    ground.until(lambda: ground.done(request_id) == images, 600)
    return images / (time.monotonic() - started)
