"""Never another's picture, however an origin mixes up its answers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from imageproc.images.fetch import Limits, Policy, client, connections
from imageproc.images.fetch.download import Body, fetch
from tests.support.mixups import FAILING, WAYS, MixupOrigin, number_in

COUNT = 48
LIMITS = Limits(seconds=1.5)


@pytest.fixture(scope="module")
def mixups() -> Iterator[MixupOrigin]:
    origin = MixupOrigin()
    yield origin
    origin.stop()


def judge(way: str, mixups: MixupOrigin, count: int) -> None:
    policy = Policy.of(["127.0.0.0/8"], [mixups.port])

    def get(number: int) -> int | None:
        body = fetch(mixups.url(way, number), LIMITS, policy)
        return _number(body.data) if isinstance(body, Body) else None

    numbers = range(1, count + 1 if "told" not in way else 9)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(get, numbers))
    none = [number for number, got in zip(numbers, found, strict=True) if got is None]
    wrong = [pair for pair in zip(numbers, found, strict=True) if pair[1] not in (None, pair[0])]
    assert wrong == []
    assert len(none) == (len(numbers) if way in FAILING else 0)


@pytest.mark.parametrize("way", WAYS)
def test_the_right_picture_or_none(way: str, mixups: MixupOrigin) -> None:
    judge(way, mixups, COUNT)


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"surplus after 300 ms"}))
def test_of_a_host_that_is_trusted(
    way: str, mixups: MixupOrigin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a second of silence of one connection, a rest finds what comes within it. It is longer
    here than the real one, because a busy machine keeps this origin, too, from being in time."""
    monkeypatch.setattr(connections, "REST", 0.2)
    monkeypatch.setattr(connections, "WATCH", 0.2)
    judge(way, mixups, COUNT)


def test_a_host_that_sends_too_much_is_never_trusted_again(mixups: MixupOrigin) -> None:
    policy = Policy.of(["127.0.0.0/8"], [mixups.port])
    url = mixups.url("surplus at once", 1)
    for _ in range(2):
        assert isinstance(fetch(url, LIMITS, policy), Body)
    [known] = client.connections_of(policy).silence.values()
    assert known == math.inf


def _number(data: bytes) -> int | None:
    """None for half a picture, which is the codec's to find."""
    try:
        return number_in(data)
    except OSError:
        return None
