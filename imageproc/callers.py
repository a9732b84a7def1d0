"""The address that a request comes from, behind NUM_PROXIES proxies that the operator trusts."""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv6Address

from django.conf import settings
from django.http import HttpRequest
from rest_framework.request import Request

# A subscriber gets at least a /64 (RFC 6177), so single IPv6 addresses are not worth counting.
V6_PREFIX = 64
# A request without a peer, from inside the process.
UNKNOWN = "unknown"


Call = HttpRequest | Request


def address_of(request: Call) -> str:
    """The client's address by which limits count; of an IPv6 address only the /64.

    Each proxy appends the address that it saw to X-Forwarded-For, so only the last NUM_PROXIES
    entries can be trusted; the client itself may have written those before them.
    """
    address = _forwarded(request) or _peer(request)
    if isinstance(address, IPv6Address):
        return str(ipaddress.ip_network((address, V6_PREFIX), strict=False).network_address)
    return str(address or UNKNOWN)


def known_address_of(request: Call) -> str | None:
    """``address_of``, or None if it is unknown, as a database column for addresses needs it."""
    address = address_of(request)
    return None if address == UNKNOWN else address


def may_be_anonymous(request: Call) -> bool:
    """Whether API_ANONYMOUS is on and the request comes from this very machine, through no proxy.

    `manage.py up` checks the bind address at its start; this protects web servers that were started
    in another way.
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
    """Parse an address, with or without a port: ``[2001:db8::1]:443``, ``192.0.2.1:443``."""
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
