"""Which URLs may be requested, as far as can be told without DNS. Pure.

``imageproc.sheet`` parses URLs, both for uploads and for this client. The addresses of a name are
checked when it is connected to (``dial``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from imageproc.faults import ADDRESS_FORBIDDEN, PORT_FORBIDDEN, URL_INVALID, Fault
from imageproc.images.fetch.addresses import Address, Policy, allowed
from imageproc.images.fetch.errors import FetchError
from imageproc.sheet import Url, UrlProblem, check_url


def check(url: str, policy: Policy) -> Fault | None:
    """Why ``url`` may not be requested, or None."""
    try:
        parse(url, policy)
    except FetchError as refused:
        return refused.fault
    return None


def parse(url: str, policy: Policy) -> Url:
    """Parse ``url``. Raises FetchError if it may not be requested."""
    parts = check_url(url)
    if isinstance(parts, UrlProblem):
        raise FetchError(URL_INVALID.because(parts.message))
    fault = _check_host(parts.authority.host, parts.authority.port, policy)
    if fault is not None:
        raise FetchError(fault)
    return parts


def _listed(ports: Iterable[int]) -> str:
    """80, 443 or 8080."""
    *most, last = map(str, sorted(ports))
    return f"{', '.join(most)} or {last}" if most else last


@lru_cache(maxsize=4096)
def _check_host(host: str, port: int, policy: Policy) -> Fault | None:
    if port not in policy.allow_ports:
        fault = PORT_FORBIDDEN.because(f"port {port}")
        if not policy.allow_ports:
            return fault
        return replace(fault, remedy=f"Use port {_listed(policy.allow_ports)}.")
    address = literal(host)
    if address is not None and not allowed(address, policy):
        return ADDRESS_FORBIDDEN.because(str(address))
    return None


def literal(host: str) -> Address | None:
    """The address of a host (as in ``Authority``) that needs no DNS."""
    if host.startswith("["):
        return IPv6Address(host[1:-1])
    last = host.rpartition(".")[2]
    if last.isdigit():  # the parser lets pass only four plain decimal numbers
        return IPv4Address(host)
    if last == "localhost":  # RFC 6761, 6.3: always loopback
        return IPv4Address("127.0.0.1")
    return None
