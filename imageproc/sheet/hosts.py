"""The authority of a URL (RFC 3986, 3.2): user, host and port, judged by syntax alone."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

import idna

# Lengths of RFC 1035 2.3.4. Underscores do occur in real host names.
_MAX_HOST = 253
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_BRACKETED = re.compile(r"(\[[^\[\]]*\])(?::(.*))?", re.DOTALL)
# WHATWG URL, "ends in a number": resolvers read such a host as an IPv4 address.
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[0-9]{1,5}")
DEFAULT_PORT = {"http": 80, "https": 443}


class UrlProblem(NamedTuple):
    """Why something is refused: a stable code and a plain sentence."""

    code: str
    message: str


class Authority(NamedTuple):
    """``host``: lower case, ASCII, IPv6 in brackets, no dot at its end. ``port``: the scheme's
    default filled in. ``text``: how both are written in the URL that is fetched."""

    host: str
    port: int
    text: str


BAD_HOST = UrlProblem("url_host", "The link's host name is not valid.")
NUMERIC_HOST = UrlProblem(
    "url_host_numeric",
    "The link's host is a number that is not a plain IPv4 address. Use the host's name.",
)
USERINFO = UrlProblem(
    "url_userinfo", "The link contains a user name or password. Remove the part before the @."
)
BAD_PORT = UrlProblem("url_port", "The link's port is not a number from 1 to 65535.")


@lru_cache(maxsize=4096)
def parse_authority(text: str, scheme: str) -> Authority | UrlProblem:
    """Judge what stands between ``//`` and the path. ``scheme``: http or https.

    As in browsers, an empty port is the default one and a port may have leading zeros.
    """
    if "@" in text:
        return USERINFO
    bracketed = _BRACKETED.fullmatch(text)
    raw_host, _, raw_port = text.partition(":")
    if bracketed:
        raw_host, raw_port = bracketed[1], bracketed[2] or ""
    port = _port(raw_port) if raw_port else DEFAULT_PORT[scheme]
    if not port:
        return BAD_PORT
    host = _ipv6(raw_host) if bracketed else _name(raw_host)
    if isinstance(host, UrlProblem):
        return host
    return Authority(host, port, f"{host}:{port}" if raw_port else host)


def _port(text: str) -> int:
    """The port number; 0 for text that is none."""
    port = int(text) if _PORT.fullmatch(text) else 0
    return port if port <= 65535 else 0


def _ipv6(bracketed: str) -> str | UrlProblem:
    inside = bracketed[1:-1]
    try:
        if "%" in inside:  # a zone is meaningful on one machine only
            return BAD_HOST
        return f"[{ipaddress.IPv6Address(inside)}]"
    except ValueError:
        return BAD_HOST


def _name(raw: str) -> str | UrlProblem:
    """A host name or an IPv4 address, as it is looked up."""
    if len(raw) > _MAX_HOST + 1:
        return BAD_HOST
    host = raw.lower()
    if not host.isascii():
        try:
            host = _ascii(host)
        except UnicodeError:
            return BAD_HOST
    host = host.removesuffix(".")  # the root of DNS: the same host
    labels = host.split(".")
    if _NUMERIC.fullmatch(labels[-1]):
        return _ipv4(host)
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        return BAD_HOST
    return host


def _ascii(host: str) -> str:
    """A host in ASCII, mapped and encoded as browsers do it (UTS 46, non-transitional).

    Emoji are valid there, though not in IDNA 2008. Raises UnicodeError.
    """
    mapped = idna.uts46_remap(host, std3_rules=False)
    return ".".join(
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
        for label in mapped.split(".")
    )


def _ipv4(host: str) -> str | UrlProblem:
    """Only four plain decimal numbers: octal, hexadecimal and short forms hide where they lead."""
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        return NUMERIC_HOST
