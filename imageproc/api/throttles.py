"""Limits how many calls a key and an address may make, counted in the shared cache.

Each caller has two counters a window, which are incremented atomically. REST framework's own
throttles read a list and write it back, so that simultaneous calls are counted once.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import cache
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from imageproc import callers
from imageproc.models import ApiKey

if TYPE_CHECKING:  # the views import this module through the settings
    from rest_framework.views import APIView

log = logging.getLogger(__name__)
PERIOD = 60.0


@dataclass(frozen=True, slots=True)
class Window:
    """A sliding minute, estimated from two fixed ones: of the calls in the previous one, the share
    counts that would fall within the last 60 seconds if they had come evenly."""

    name: str

    def allow(self, who: str, limit: int) -> float:
        """Count one call. Returns 0 if it may proceed, else the seconds to wait. With ``limit`` 0
        there is no limit.

        While the cache is down everyone may proceed: a broken Redis must not stop the service.
        """
        if not limit:
            return 0.0
        number, passed = divmod(time.time(), PERIOD)
        try:
            before, now = self._count(who, int(number))
        except Exception:
            log.warning("the cache is unavailable: nobody is throttled", exc_info=True)
            return 0.0
        used = now + before * (1 - passed / PERIOD)
        return 0.0 if used <= limit else self._wait(limit, before, passed)

    def _count(self, who: str, number: int) -> tuple[int, int]:
        this, last = (f"throttle:{self.name}:{who}:{n}" for n in (number, number - 1))
        cache.add(this, 0, 2 * PERIOD)
        try:
            now = cache.incr(this)
        except ValueError:  # the cache dropped the counter after the call to add
            now = 1
        return int(cache.get(last, 0)), now

    def _wait(self, limit: int, before: int, passed: float) -> float:
        """Seconds until enough of the previous minute's calls have left the window, or until this
        minute is over."""
        if before > limit:
            return max(1.0, PERIOD * (1 - limit / before) - passed)
        return PERIOD - passed


CALLS_OF_ADDRESS = Window("address")
CALLS_OF_CALLER = Window("caller")
UPLOADS_OF_CALLER = Window("upload")
WRONG_KEYS = Window("wrong-key")


class CallThrottle(BaseThrottle):
    """Counts by address and by caller: every key has a quota of its own, and so has every user."""

    seconds = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        # On a laptop there is one user only.
        if callers.may_be_anonymous(request):
            return True
        self.seconds = self._seconds(request)
        return not self.seconds

    def _seconds(self, request: Request) -> float:
        address, caller = callers.address_of(request), caller_of(request)
        waits = [CALLS_OF_ADDRESS.allow(address, settings.CALLS_PER_MINUTE_ADDRESS)]
        if caller:
            waits.append(CALLS_OF_CALLER.allow(caller, settings.CALLS_PER_MINUTE_KEY))
        if caller and needed_scope(request) == "upload":
            waits.append(UPLOADS_OF_CALLER.allow(caller, settings.UPLOADS_PER_MINUTE_KEY))
        return max(waits)

    def wait(self) -> float:
        return math.ceil(self.seconds)


def refuse_guessing(request: Request) -> None:
    """Count a wrong key. Raises Throttled after too many from one address."""
    who = callers.address_of(request)
    if seconds := WRONG_KEYS.allow(who, settings.WRONG_KEYS_PER_MINUTE):
        raise Throttled(wait=math.ceil(seconds))


def caller_of(request: Request) -> str:
    """Names the caller's quota; "" for an anonymous caller, who is limited by address alone."""
    if isinstance(request.auth, ApiKey):
        return f"key-{request.auth.pk}"
    return f"user-{request.user.pk}" if request.user and request.user.pk else ""


def needed_scope(request: Request) -> str:
    view = (request.parser_context or {}).get("view")
    scopes: dict[str, str] = getattr(view, "scopes", {})
    return scopes.get(request.method or "", "read")
