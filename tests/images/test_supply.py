"""How much a worker claims at a time."""

from __future__ import annotations

import time
from typing import Any

import pytest

from imageproc.images import claim as claiming
from imageproc.images.crew import Crew
from imageproc.images.job import Job
from imageproc.images.supply import Supply
from tests.support import build

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("done_within", "second"),
    [(10.0, 50), (0.25, 100), (0.1, 250), (0.01, 400)],
)
def test_a_claim_is_as_large_as_the_last_one_was_quick(
    monkeypatch: pytest.MonkeyPatch, done_within: float, second: int
) -> None:
    """Enough for half a second: 50 images at the least, 400 at the most."""
    build.request(images=600)
    now, limits = [1000.0], []
    claim = claiming.claim

    def noted(limit: int, **options: Any) -> list[Job]:
        limits.append(limit)
        return claim(limit, **options | {"workers": 0})

    monkeypatch.setattr(claiming, "claim", noted)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    supply = Supply(Crew(lambda _: []), lambda: True)
    supply.top_up(frozenset())
    supply.waiting.clear()
    now[0] += done_within
    supply.top_up(frozenset())
    assert limits == [50, second]
    assert len(supply.waiting) == second
