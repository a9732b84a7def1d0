"""Nothing leaves for an address that the operator did not allow."""

from __future__ import annotations

import random
import socket
import threading
from ipaddress import ip_address

import hypothesis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytest_django import Settings

from imageproc.faults import Fault
from imageproc.images.fetch import Answer, Limits, Policy, check, post
from imageproc.images.fetch.addresses import allowed
from imageproc.images.fetch.dial import Dialler
from imageproc.images.fetch.download import Body, fetch
from imageproc.images.fetch.errors import FetchError
from imageproc.sheet import Url, check_url
from tests.images.fetch.conftest import Wire
from tests.images.fetch.hostile import FORBIDDEN, PUBLIC, PUBLIC_V4, RESOLVES
from tests.support.origin import PICTURE, Origin

ALL = [
    pytest.param(url, id=f"{group} {number}")
    for group, urls in FORBIDDEN.items()
    for number, url in enumerate(urls)
]
BY_NAME = [f"http://{name}/a.jpg" for name in RESOLVES]
CLOSED = Policy()
REFUSALS = {"url_invalid", "address_forbidden", "port_forbidden"}


def test_the_table_is_large_enough() -> None:
    assert len(ALL) + len(BY_NAME) >= 120


@pytest.mark.parametrize("url", ALL)
def test_refused_by_check(url: str) -> None:
    fault = check(url, CLOSED)
    assert fault is not None
    assert fault.permanent
    assert fault.code in REFUSALS


@pytest.mark.parametrize("url", [*ALL, *BY_NAME])
def test_not_fetched(url: str, wire: Wire, limits: Limits) -> None:
    fault = fetch(url, limits, CLOSED)
    assert isinstance(fault, Fault)
    assert fault.code in REFUSALS
    assert wire.dialled == []


@pytest.mark.parametrize("url", [*ALL, *BY_NAME])
def test_not_fetched_behind_a_redirect(
    url: str, wire: Wire, limits: Limits, origin: Origin
) -> None:
    location = url.encode("utf-8", "replace").decode("latin-1")
    origin.serve("/moved", status=302, headers={"Location": location})
    fault = fetch("http://public.example/moved", limits, CLOSED)
    assert isinstance(fault, Fault)
    assert set(wire.dialled) == {(PUBLIC_V4, 80)}
    assert origin.hits["/moved"] >= 1


@pytest.mark.parametrize("url", [*ALL, *BY_NAME])
def test_not_posted_to(url: str, wire: Wire) -> None:
    fault = post(url, b"{}", {}, 5, CLOSED)
    assert isinstance(fault, Fault)
    assert fault.code in REFUSALS
    assert wire.dialled == []


@pytest.mark.parametrize("url", PUBLIC)
def test_public_addresses_work(url: str, wire: Wire, limits: Limits, origin: Origin) -> None:
    origin.serve("/ok")
    assert check(url, CLOSED) is None
    body = fetch(url, limits, CLOSED)
    assert isinstance(body, Body), body
    assert body.data == PICTURE
    answer = post(url, b"{}", {}, 5, CLOSED)
    assert isinstance(answer, Answer)
    assert answer.status == 200
    assert len(wire.dialled) == 2


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1/", "address_forbidden"),
        ("http://localhost/", "address_forbidden"),
        ("http://[::ffff:7f00:1]/", "address_forbidden"),
        ("http://2130706433/", "url_invalid"),
        ("http://user:pass@public.example/", "url_invalid"),
        ("ftp://public.example/", "url_invalid"),
        ("http://public.example:22/", "port_forbidden"),
        ("http://public.example:0/", "url_invalid"),
    ],
)
def test_the_reason_is_named(url: str, code: str) -> None:
    fault = check(url, CLOSED)
    assert fault is not None
    assert fault.code == code


def test_a_hostile_host_is_judged_quickly() -> None:
    """No pattern may take more than linear time: these would take years otherwise."""
    for url in (
        "http://" + "a" * 5000 + "!/",
        "http://" + "a-" * 3000 + "/",
        "http://" + "." * 7000,
    ):
        assert check(url, CLOSED) is not None


@hypothesis.settings(deadline=None)
@given(
    st.sampled_from(["", "http://", "HTTPS://", "http://[", "http://a.example"]),
    st.text(st.characters(exclude_categories=())),
)
@example("http://", "[::1%25lo]:80/")
@example("http://", "xn--a/")
def test_no_text_breaks_the_parser(start: str, rest: str) -> None:
    """It answers; and what it lets pass is plain ASCII, and means the same when read again."""
    url = check_url(start + rest)
    if isinstance(url, Url):
        assert url.text.isascii()
        assert check_url(url.text) == url
        check(url.text, CLOSED)


# --- Names that change -----------------------------------------------------------------------
def test_rebinding_a_thousand_times(wire: Wire) -> None:
    """Whatever a name answers from look-up to look-up, only answers that are all public count."""
    rng, answers = random.Random(7), []
    pool = [PUBLIC_V4, "8.8.8.8", "127.0.0.1", "10.0.0.1", "169.254.169.254", "::1"]

    def answer() -> list[str]:
        answers.append(rng.sample(pool, rng.choice([1, 1, 2])))
        return answers[-1]

    wire.names["rebind.example"] = answer
    dialler, good = Dialler(CLOSED), 0
    refusals = set()
    for _ in range(1000):
        try:
            dialler.dial("rebind.example", 80, 5).close()
            good += 1
        except FetchError as refused:
            refusals.add(refused.fault.code)
    assert refusals == {"address_forbidden"}
    assert len(answers) == 1000  # one look-up a dial: nothing between judging and dialling
    assert good == sum(set(a) <= {PUBLIC_V4, "8.8.8.8"} for a in answers)
    assert 200 < good < 500
    assert {address for address, _ in wire.dialled} == {PUBLIC_V4, "8.8.8.8"}


def test_the_peer_is_judged_too(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that redirects the connection itself is caught after the dial."""
    monkeypatch.setattr(socket.socket, "getpeername", lambda self: ("10.0.0.7", 80))
    fault = fetch("http://public.example/ok", Limits(seconds=5), CLOSED)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.detail) == ("address_forbidden", "10.0.0.7")


def test_an_unknown_name(wire: Wire, limits: Limits) -> None:
    fault = fetch("http://nowhere.example/", limits, CLOSED)
    assert isinstance(fault, Fault)
    assert (fault.code, fault.permanent) == ("dns_failed", False)


def test_the_second_address_is_tried(
    wire: Wire, limits: Limits, origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.serve("/ok")
    connect = socket.socket.connect

    def first_is_dead(self: socket.socket, address: tuple[str, int]) -> None:
        if ":" in address[0]:
            threading.Event().wait(self.gettimeout())
            raise TimeoutError
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", first_is_dead)
    assert isinstance(fetch("http://both.example/ok", Limits(seconds=1), CLOSED), Body)
    assert wire.dialled == [(PUBLIC_V4, 80)]


# --- What the operator opens --------------------------------------------------------------------
def test_an_opened_network_and_port(origin: Origin, policy: Policy, limits: Limits) -> None:
    url = origin.serve("/ok")
    assert isinstance(fetch(url, limits, policy), Body)
    assert isinstance(fetch(url.replace("127.0.0.1", "localhost"), limits, policy), Body)
    for other in (Policy.of([], [origin.port]), Policy.of(["127.0.0.0/8"])):
        assert isinstance(fetch(url, limits, other), Fault)


@pytest.mark.parametrize(
    ("address", "cidr", "expected"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3/32", True),
        ("10.1.2.3", "10.2.0.0/16", False),
        ("fd00::1", "fd00::/8", True),
        # Metadata must be named by itself.
        ("169.254.169.254", "169.254.0.0/16", False),
        ("169.254.169.254", "0.0.0.0/0", False),
        ("169.254.169.254", "169.254.169.254/32", True),
        ("fd00:ec2::254", "fd00::/8", False),
        # A translated address is opened by its own network, and judged by what it carries.
        ("::ffff:127.0.0.1", "127.0.0.0/8", False),
        ("64:ff9b::808:808", "64:ff9b::/96", True),
        ("64:ff9b::a00:1", "64:ff9b::/96", False),
        ("64:ff9b::a9fe:a9fe", "64:ff9b::/96", False),
        ("fe80::1%1", "fe80::/10", False),
    ],
)
def test_allow_cidrs(address: str, cidr: str, expected: bool) -> None:
    assert allowed(ip_address(address), Policy.of([cidr])) is expected


def test_policy_and_limits_come_from_the_settings(settings: Settings) -> None:
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]
    settings.OUTBOUND_ALLOW_PORTS = ["80", "9000"]
    settings.MAX_IMAGE_BYTES, settings.FETCH_DEADLINE = 123, 4.5
    assert Policy.from_settings() == Policy.of(["127.0.0.0/8"], [80, 9000])
    assert Limits.from_settings() == Limits(123, 4.5)
