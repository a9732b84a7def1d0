"""Where a redirect leads, the cookies that it sets on the way, and who may see secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urljoin

from requests import Request
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar, get_cookie_header
from urllib3.response import HTTPResponse

from imageproc.images.fetch.connections import Origin
from imageproc.sheet import Url

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AUTHORITY = re.compile(rb"(?:[a-z][a-z0-9+.\-]*:)?//[^/?#]*", re.IGNORECASE)
_TO_ESCAPE = re.compile(rb"[^!-~]|\\")


class Redirects:
    """The redirects of one exchange. Their cookies are sent with the requests that follow, and
    forgotten with this object.

    ``access``: secret header fields for the first request's origin. They are sent to no other, and
    no more once a redirect has led to another.
    """

    def __init__(self, access: Mapping[str, str]) -> None:
        self._jar: RequestsCookieJar | None = None  # most exchanges need none
        self._access = access
        self._first: Origin | None = None

    def headers(self, target: Url) -> dict[str, str]:
        """Secret fields and the header Cookie for a request of ``target``, if there are any."""
        headers = self._secrets_for(Origin.of(target)) if self._access else {}
        if self._jar is not None:
            cookies = get_cookie_header(self._jar, Request("GET", target.text))  # type: ignore[no-untyped-call]
            headers |= {"Cookie": cookies} if cookies else {}
        return headers

    def _secrets_for(self, origin: Origin) -> dict[str, str]:
        self._first = self._first or origin
        if origin != self._first and not is_upgrade(self._first, origin):
            self._access = {}
        return dict(self._access)

    def follow(self, response: HTTPResponse, target: Url) -> str | None:
        """The URL to which the response redirects, or None if it is the final one."""
        if response.status not in _REDIRECTS or "location" not in response.headers:
            return None
        if self._jar is None:
            self._jar = RequestsCookieJar()
        extract_cookies_to_jar(self._jar, Request("GET", target.text), response)  # type: ignore[no-untyped-call]
        return _join(target, response.headers.getlist("location")[0])


def is_upgrade(first: Origin, other: Origin) -> bool:
    """From plain HTTP to TLS on the same host, both on their usual ports."""
    return first == Origin("http", other.host, 80) and other == Origin("https", first.host, 443)


def _join(base: Url, location: str) -> str:
    """Resolve ``location`` as browsers do: backslashes are slashes, and raw bytes in the path are
    escaped one by one, whatever their charset (a host name is UTF-8)."""
    raw = location.strip().encode("latin-1")
    path = re.split(rb"[?#]", raw, maxsplit=1)[0]
    raw = path.replace(b"\\", b"/") + raw[len(path) :]
    match = _AUTHORITY.match(raw)
    start = match[0] if match else b""
    rest = _TO_ESCAPE.sub(lambda found: b"%%%02X" % found[0][0], raw[len(start) :]).decode()
    absolute = start.decode("utf-8", "replace") + rest
    return absolute if start and not start.startswith(b"//") else urljoin(base.text, absolute)
