"""URL -> what would be dialled, or the Fault that says why not. Pure; no DNS, no sockets.

``check`` is the judgement an upload makes. ``outbound`` makes it again, and judges every address
that the name really resolves to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

import idna

from imageproc.faults import ADDRESS_FORBIDDEN, PORT_FORBIDDEN, URL_INVALID, Fault
from imageproc.images.fetch.addresses import Address, Policy, allowed

MAX_URL = 8000  # characters; what RFC 9110, 4.1 asks everybody to support


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
_FORBIDDEN = re.compile(  # the joiners U+200C and U+200D are letters' business and stay
    r"[\x00-\x20\x7f-\xa0\\\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u3000"
    r"\ud800-\udfff\ufeff]"
)
_URL = re.compile(r"(https?)://([^/?#]+)([^#]*)(?:#.*)?", re.I | re.ASCII)  # "ſ" is an s
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
