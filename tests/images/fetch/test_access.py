"""Secret header fields go to the origin that they are for, and to no other."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from imageproc.images.fetch import Answer, Limits, Policy, get
from imageproc.images.fetch.connections import Origin as Peer
from imageproc.images.fetch.redirects import is_upgrade
from tests.support.origin import Origin

SECRET = {"Authorization": "Basic b2xnYTpwYXNz", "User-Agent": "Shop/1.0", "X-Api-Key": "k"}


@pytest.fixture
def other() -> Iterator[Origin]:
    """The same host on another port is another origin."""
    other = Origin()
    other.start()
    yield other
    other.stop()


def seen(url: str, *origins: Origin) -> dict[str, str]:
    """The fields of the last request, in lower case."""
    policy = Policy.of(["127.0.0.0/8"], [origin.port for origin in origins])
    answer = get(url, Limits(max_bytes=100_000, seconds=5), policy, SECRET)
    assert isinstance(answer, Answer)
    fields = json.loads(answer.body)["headers"]
    return {name.lower(): value for name, value in fields.items()}


def secrets_in(fields: dict[str, str]) -> set[str]:
    return {name for name, value in SECRET.items() if fields.get(name.lower()) == value}


def test_they_are_sent_and_follow_a_redirect_within_the_origin(origin: Origin) -> None:
    assert secrets_in(seen(f"{origin.url}/echo", origin)) == set(SECRET)
    within = f"{origin.url}/redirect-to?url={origin.url}/echo"
    assert secrets_in(seen(within, origin)) == set(SECRET)


def test_they_are_not_sent_to_where_a_redirect_leads_nor_back(
    origin: Origin, other: Origin
) -> None:
    away = f"{origin.url}/redirect-to?url={other.url}/echo"
    assert secrets_in(seen(away, origin, other)) == set()
    back = f"{origin.url}/redirect-to?url={other.url}/redirect-to%3Furl%3D{origin.url}/echo"
    assert secrets_in(seen(back, origin, other)) == set()


@pytest.mark.parametrize(
    ("first", "then", "allowed"),
    [
        (("http", "a.example", 80), ("https", "a.example", 443), True),
        (("https", "a.example", 443), ("http", "a.example", 80), False),
        (("http", "a.example", 8080), ("https", "a.example", 443), False),
        (("https", "a.example", 443), ("https", "b.a.example", 443), False),
    ],
)
def test_only_an_upgrade_to_tls_is_the_same_origin(
    first: tuple[str, str, int], then: tuple[str, str, int], allowed: bool
) -> None:
    assert is_upgrade(Peer(*first), Peer(*then)) is allowed
