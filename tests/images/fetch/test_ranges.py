"""Every special network by its borders: first and last address, and both neighbours outside."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from imageproc.images.fetch import Policy
from imageproc.images.fetch.addresses import allowed, embedded

CLOSED = Policy()
# network → whether the address before it, and the one behind it, are public
V4 = {
    "0.0.0.0/8": (None, True),
    "10.0.0.0/8": (True, True),
    "100.64.0.0/10": (True, True),
    "127.0.0.0/8": (True, True),
    "168.63.129.16/32": (True, True),
    "169.254.0.0/16": (True, True),
    "172.16.0.0/12": (True, True),
    "192.0.0.0/24": (True, True),
    "192.0.2.0/24": (True, True),
    "192.31.196.0/24": (True, True),
    "192.52.193.0/24": (True, True),
    "192.88.99.0/24": (True, True),
    "192.168.0.0/16": (True, True),
    "192.175.48.0/24": (True, True),
    "198.18.0.0/15": (True, True),
    "198.51.100.0/24": (True, True),
    "203.0.113.0/24": (True, True),
    "224.0.0.0/4": (True, False),
    "240.0.0.0/4": (False, None),
}
V6 = {
    "2001::/23": (True, True),
    "2001:db8::/32": (True, True),
    "2002::/16": (True, True),
    "2620:4f:8000::/48": (True, True),
    "3fff::/20": (True, True),
    # All that is global lies between these two.
    "::/3": (None, True),
    "4000::/2": (True, False),
    "8000::/1": (False, None),
    # Within what is not global: as the table of IANA has them.
    "fc00::/7": (False, False),
    "fe80::/10": (False, False),
    "ff00::/8": (False, None),
}


@pytest.mark.parametrize(("text", "neighbours"), (V4 | V6).items())
def test_a_network_to_both_its_borders(text: str, neighbours: tuple[bool | None, ...]) -> None:
    network = ip_network(text)
    first, last = network[0], network[-1]
    middle = network[network.num_addresses // 2]
    assert [allowed(a, CLOSED) for a in (first, middle, last)] == [False] * 3
    for outside, open_ in zip((-1, 1), neighbours, strict=True):
        if open_ is not None:
            neighbour = (first if outside < 0 else last) + outside
            assert allowed(neighbour, CLOSED) is open_, neighbour


EMBEDDED = {
    "::8.8.8.8": "8.8.8.8",
    "::ffff:10.0.0.1": "10.0.0.1",
    "::ffff:0:10.0.0.1": "10.0.0.1",
    "64:ff9b::10.0.0.1": "10.0.0.1",
    "64:ff9b:1::10.0.0.1": "10.0.0.1",
    "64:ff9b:1:ffff:ffff:ffff:10.0.0.1": "10.0.0.1",
    "2002:a00:1::": "10.0.0.1",
    "2606::5efe:10.0.0.1": "10.0.0.1",
    "2606::200:5efe:10.0.0.1": "10.0.0.1",
}
PLAIN = ["2606::1", "64:ff9b:2::1", "2606::5eff:a00:1", "2606::100:5efe:a00:1", "8.8.8.8"]


@pytest.mark.parametrize(("text", "inner"), EMBEDDED.items())
def test_an_address_within_an_address(text: str, inner: str) -> None:
    assert embedded(ip_address(text)) == [IPv4Address(inner)]
    assert not allowed(ip_address(text), CLOSED)


@pytest.mark.parametrize("text", PLAIN)
def test_addresses_that_carry_no_other(text: str) -> None:
    assert embedded(ip_address(text)) == []


def test_teredo_carries_two() -> None:
    found = embedded(ip_address("2001:0:4136:e378:8000:63bf:3fff:fdd2"))
    assert found == [IPv4Address("65.54.227.120"), IPv4Address("192.0.2.45")]


@pytest.mark.parametrize(
    ("cidrs", "address", "open_"),
    [
        (["10.1.0.0/16"], "10.1.0.0", True),
        (["10.1.0.0/16"], "10.1.255.255", True),
        (["10.1.0.0/16"], "10.0.255.255", False),
        (["10.1.0.0/16"], "10.2.0.0", False),
        (["10.1.0.0/16"], "8.8.8.8", True),
        (["10.1.0.0/16", "10.3.0.0/16"], "10.3.0.1", True),
        (["fd00::/8"], "fd00::1", True),
        (["fd00::/8"], "fc00::1", False),
        # A wide network does not open metadata; its own address does.
        (["169.254.0.0/16"], "169.254.169.253", True),
        (["169.254.0.0/16"], "169.254.169.254", False),
        (["169.254.0.0/16"], "169.254.170.2", False),
        (["169.254.169.254/32"], "169.254.169.254", True),
        (["169.254.169.254/31"], "169.254.169.254", False),
        (["168.63.128.0/18"], "168.63.129.16", False),
        (["100.64.0.0/10"], "100.100.100.200", False),
        (["192.0.0.0/24"], "192.0.0.192", False),
        (["fd00::/8"], "fd00:ec2::254", False),
        (["fd00::/8"], "fd20:ce::254", False),
        (["fd00:ec2::254/128"], "fd00:ec2::254", True),
        # Both the outer and the inner address have to be open.
        (["::ffff:0:0/96"], "::ffff:10.0.0.1", False),
        (["::ffff:0:0/96", "10.0.0.0/8"], "::ffff:10.0.0.1", True),
        (["10.0.0.0/8"], "::ffff:10.0.0.1", False),
        (["64:ff9b::/96"], "64:ff9b::8.8.8.8", True),
    ],
)
def test_what_the_operator_opens(cidrs: list[str], address: str, open_: bool) -> None:
    assert allowed(ip_address(address), Policy.of(cidrs)) is open_


def test_an_address_with_a_zone_is_never_open() -> None:
    for cidrs in ([], ["::/0"]):
        assert not allowed(IPv6Address("2606::1%eth0"), Policy.of(cidrs))
    assert allowed(IPv6Address("2606::1"), CLOSED)


def test_the_ports_that_are_open_by_themselves() -> None:
    assert CLOSED.allow_ports == Policy.of().allow_ports == {80, 443}
    assert Policy.of(ports=[8080]).allow_ports == {8080}
