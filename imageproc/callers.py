"""Which address a call comes from, behind NUM_PROXIES proxies that the operator vouches for."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol

from django.conf import settings

# What one subscriber is given: counting single IPv6 addresses would count nothing (RFC 6177).
V6_PREFIX = 64
# No peer at all: a call from inside the process.
UNKNOWN = "unknown"


class Call(Protocol):
    """A request of Django or of REST framework."""

    @property
    def META(self) -> Any: ...  # noqa: N802


def address_of(request: Call) -> str:
    """The client's address as limits count it; an IPv6 client is its /64.

    Each proxy appends the address that it saw to X-Forwarded-For, so only the last NUM_PROXIES
    entries are true; whatever stands before them was written by the client itself.
    """
    address = _forwarded(request) or _peer(request)
    if isinstance(address, IPv6Address):
        return str(ipaddress.ip_network((address, V6_PREFIX), strict=False).network_address)
    return str(address or UNKNOWN)


def known_address_of(request: Call) -> str | None:
    """``address_of``, or None where there is none: for a database's column of addresses."""
    address = address_of(request)
    return None if address == UNKNOWN else address


def may_be_anonymous(request: Call) -> bool:
    """API_ANONYMOUS, and the call comes from this very machine, through no proxy.

    The bind address is judged at the start (imageproc.checks, `up`); a web server that was started
    in another way is caught here.
    """
    if not settings.API_ANONYMOUS:
        return False
    peer = _peer(request)
    proxied = any(name in request.META for name in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED"))
    return peer is not None and peer.is_loopback and not proxied


def _forwarded(request: Call) -> IPv4Address | IPv6Address | None:
    chain = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    trusted = min(settings.NUM_PROXIES, len(chain))
    return _parse(chain[-trusted]) if trusted else None


def _peer(request: Call) -> IPv4Address | IPv6Address | None:
    return _parse(request.META.get("REMOTE_ADDR", ""))


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """An address, also as some proxies write it: ``[2001:db8::1]:443``, ``192.0.2.1:443``."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
