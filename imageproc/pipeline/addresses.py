"""Which URLs may be dialled: syntax, ports and the table of addresses. Pure; no DNS, no sockets.

``check`` is the judgement an upload makes; ``outbound`` makes it again, and judges every address
that the name really resolves to. The table is our own: ``ipaddress.is_global`` of Python 3.11 calls
224.0.0.1, 2002::/16 and 64:ff9b::/96 global.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import quote

import idna
from django.conf import settings

from imageproc.faults import ADDRESS_FORBIDDEN, PORT_FORBIDDEN, URL_INVALID, Fault

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL = 8000  # characters; what RFC 9110, 4.1 asks everybody to support


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator opened: networks that are refused otherwise, and the ports."""

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


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be asked for, if its name resolves well.

    ``host`` is ASCII, lower case, without brackets; ``path`` is the request target with its query,
    percent-encoded. ``literal`` is the address where the host is one.
    """

    scheme: str
    host: str
    port: int
    path: str
    literal: Address | None

    @property
    def authority(self) -> str:
        """For the Host header and for joining redirects."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def check(url: str, policy: Policy) -> Fault | None:
    """Whether ``url`` may be asked for, as far as can be told without DNS.

    About 2 µs for a host and port that were judged before.
    """
    parts = _split(url)
    if isinstance(parts, Fault):
        return parts
    judged = _judge(parts[0], parts[1], policy)
    return judged if isinstance(judged, Fault) else None


def parse(url: str, policy: Policy) -> Target | Fault:
    """``url`` taken apart the one way that is used to judge *and* to dial it."""
    parts = _split(url)
    if isinstance(parts, Fault):
        return parts
    scheme, authority, path = parts
    judged = _judge(scheme, authority, policy)
    if isinstance(judged, Fault):
        return judged
    host, port, literal = judged
    path = path if path.startswith("/") else f"/{path}"
    path = _LONE_PERCENT.sub("%25", quote(path, safe=_UNQUOTED))
    return Target(scheme.lower(), host, port, path, literal)


# --- Syntax ---------------------------------------------------------------------------------------
# Two parsers that read one URL differently are how filters are bypassed, so there is one parser,
# and it accepts less than any other: no user information, no control characters, no blanks, no
# backslashes, no percent signs in the host, no empty port.
_PORTS = {"http": 80, "https": 443}
_UNQUOTED = "!#$%&'()*+,/:;=?@[]~"  # every delimiter of RFC 3986, and % for what is encoded already
_LONE_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")  # "50%.jpg"
_FORBIDDEN = re.compile(
    r"[\x00-\x20\x7f-\xa0\\\u1680\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ud800-\udfff\ufeff]"
)
_URL = re.compile(r"(https?)://([^/?#]+)([^#]*)(?:#.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:@%]+)(?::([1-9][0-9]{0,4}))?")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")  # no trailing dot
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # "ends in a number", https://url.spec.whatwg.org/


def _split(url: str) -> tuple[str, str, str] | Fault:
    """Scheme, authority, and path with query."""
    if len(url) > MAX_URL:
        return URL_INVALID.because(f"longer than {MAX_URL} characters")
    if _FORBIDDEN.search(url):
        return URL_INVALID.because("a blank, a control character or a backslash")
    match = _URL.fullmatch(url)
    if match is None:
        return URL_INVALID.because("not http://host/… or https://host/…")
    return match[1], match[2], match[3]


@lru_cache(maxsize=4096)
def _judge(scheme: str, authority: str, policy: Policy) -> tuple[str, int, Address | None] | Fault:
    """Host, port and the host's address where it is one."""
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return URL_INVALID.because("host or port is malformed")
    port = int(match[2] or _PORTS[scheme.lower()])
    if port not in policy.allow_ports:
        return PORT_FORBIDDEN.because(f"port {port}")
    try:
        host, literal = _host(match[1])
    except ValueError as error:
        return URL_INVALID.because(str(error))
    if literal is not None and not allowed(literal, policy):
        return ADDRESS_FORBIDDEN.because(str(literal))
    return host, port, literal


def _host(text: str) -> tuple[str, Address | None]:
    """The host in ASCII, and its address where it is one; ValueError says what is wrong."""
    if text.startswith("["):
        address = IPv6Address(text[1:-1])
        return str(address), address
    host = ".".join(map(_label, text.split("."))) if not text.isascii() else text.lower()
    if not _NAME.fullmatch(host):
        raise ValueError("not a host name")
    return host, literal(host)


def literal(host: str) -> Address | None:
    """The address of a host that needs no DNS; ValueError for a number in any other form."""
    if ":" in host:
        return IPv6Address(host)
    last = host.rpartition(".")[2]
    if _NUMBER.fullmatch(last):
        # Only the four plain decimal numbers: no octal, no hexadecimal, no 127.1, no 2130706433.
        return IPv4Address(host)
    if last == "localhost":  # RFC 6761, 6.3: always loopback
        return IPv4Address("127.0.0.1")
    return None


def _label(label: str) -> str:
    """A label in ASCII; full-width digits, ideographic dots and other look-alikes are refused."""
    if label.isascii():
        return label.lower()
    mapped = idna.uts46_remap(label, std3_rules=True)
    if mapped.isascii() or "." in mapped:
        raise ValueError("a host name in disguise")
    return idna.alabel(mapped).decode("ascii")


# --- The table of addresses -----------------------------------------------------------------------
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
_METADATA = frozenset(
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
        if address in network and (address not in _METADATA or network.num_addresses == 1):
            return True
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    return (
        address in _GLOBAL_V6
        and not any(address in network for network in _REFUSED_V6)
        and not embedded(address)
    )
