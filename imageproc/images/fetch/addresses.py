"""Which addresses may be connected to: the operator's policy and the table of special networks.
Pure.

The table is our own: ``ipaddress.is_global`` of Python 3.11 calls 224.0.0.1, 2002::/16 and
64:ff9b::/96 global.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from django.conf import settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator allows: special networks that are refused otherwise, and ports."""

    allow_cidrs: tuple[Network, ...] = ()
    allow_ports: frozenset[int] = frozenset({80, 443})

    @classmethod
    def of(cls, cidrs: Iterable[str] = (), ports: Iterable[int] = (80, 443)) -> Policy:
        """Raises ValueError for what is not a network."""
        return cls(tuple(ip_network(cidr) for cidr in cidrs), frozenset(ports))

    @classmethod
    def from_settings(cls) -> Policy:
        """OUTBOUND_ALLOW_CIDRS and OUTBOUND_ALLOW_PORTS."""
        return cls.of(settings.OUTBOUND_ALLOW_CIDRS, map(int, settings.OUTBOUND_ALLOW_PORTS))


# --- The table --------------------------------------------------------------------------------
# https://www.iana.org/assignments/iana-ipv4-special-registry and …-ipv6-special-registry
_REFUSED_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier-grade NAT; 100.100.100.200 is Alibaba's metadata
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local; 169.254.169.254 is everybody's metadata
            "168.63.129.16/32",  # Azure's WireServer, on a public address
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle's metadata
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
# All that is global lies in 2000::/3: loopback, mapped (::ffff:0:0/96), translated, NAT64
# (64:ff9b::/96, 64:ff9b:1::/48), unique local (AWS and Google metadata too), link-local, the old
# site-local and multicast fall outside.
_GLOBAL_V6 = IPv6Network("2000::/3")
_REFUSED_V6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)
# A wide network in OUTBOUND_ALLOW_CIDRS does not open these: each must be named by itself.
METADATA = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",
            "169.254.170.2",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
        ),
    )
)
# Networks whose addresses carry an IPv4 address in their last 32 bits.
_EMBEDDING = (
    IPv6Network("::/96"),  # compatible, RFC 4291
    IPv6Network("::ffff:0:0/96"),  # mapped
    IPv6Network("::ffff:0:0:0/96"),  # translated, RFC 2765
    IPv6Network("64:ff9b::/96"),  # NAT64, RFC 6052
    IPv6Network("64:ff9b:1::/48"),  # local NAT64, RFC 8215
)
_ISATAP = frozenset({0x00005EFE, 0x02005EFE})  # RFC 5214, 6.1


def allowed(address: Address, policy: Policy) -> bool:
    """Whether ``address`` may be dialled, with every IPv4 address that it carries inside."""
    if not _open(address, policy):
        return False
    return all(_open(inner, policy) for inner in embedded(address))


def embedded(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that gateways on the way would take out of an IPv6 address."""
    if isinstance(address, IPv4Address):
        return []
    low, found = int(address) & 0xFFFFFFFF, []
    isatap = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    if isatap or any(address in network for network in _EMBEDDING):
        found.append(IPv4Address(low))
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.extend(address.teredo)
    return found


def _open(address: Address, policy: Policy) -> bool:
    """Named by the operator, or public."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    for network in policy.allow_cidrs:
        if address in network and (address not in METADATA or network.num_addresses == 1):
            return True
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    return (
        address in _GLOBAL_V6
        and not any(address in network for network in _REFUSED_V6)
        and not embedded(address)
    )
