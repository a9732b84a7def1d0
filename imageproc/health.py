"""Whether the service lives, and whether it can do its work: for load balancers and Prometheus."""

from __future__ import annotations

import hmac
import logging
import math
import socket
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import Error, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from imageproc.faults import Fault
from imageproc.images import names, store
from imageproc.requests.report import fleet
from imageproc.scrape import exposition

log = logging.getLogger(__name__)
PROBE = b"imageproc"


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Looks at nothing else: a restart would mend nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when every part works, else 503; either way each part with "ok" or what is wrong."""
    parts = {name: check() or "ok" for name, check in PARTS.items()}
    ready = all(state == "ok" for state in parts.values())
    answer = {"status": "ready" if ready else "not ready", "parts": parts}
    return JsonResponse(answer, status=200 if ready else 503)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus, with the bearer token METRICS_TOKEN; without one only where all is open."""
    if not _may_scrape(request):
        refusal = HttpResponse("METRICS_TOKEN is needed.\n", "text/plain", 401)
        refusal["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return refusal
    body, content_type = exposition(request.headers.get("Accept", ""))
    return HttpResponse(body, content_type=content_type)


def _may_scrape(request: HttpRequest) -> bool:
    if not settings.METRICS_TOKEN:
        return bool(settings.API_ANONYMOUS)
    header = request.headers.get("Authorization", "")
    return hmac.compare_digest(header.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())


def _database() -> str:
    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        connection.close()
        return type(error).__name__
    return ""


class StorageProbe:
    """What the storage answered last. It is asked every EVERY seconds at most, however many call,
    and by a thread of its own: a storage that hangs holds no caller for longer than PATIENCE.

    Called: "" when all is well, else what is wrong. ``ask``: the same, straight from the storage.
    """

    EVERY = 5.0
    PATIENCE = 1.0
    # A question that is open for so long is what is wrong.
    SLOW = 10.0

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._asked_at = -math.inf
        self._answer: str | None = None
        self._answered = threading.Event()
        self._answered.set()

    def __call__(self) -> str:
        self._ask_if_due()
        silent = time.monotonic() - self._asked_at
        if self._answered.wait(max(0.0, self.PATIENCE - silent)):
            return self._answer or ""
        if self._answer is None or silent > self.SLOW:
            return "no answer yet"
        return self._answer

    def _ask_if_due(self) -> None:
        with self._lock:
            due = time.monotonic() - self._asked_at >= self.EVERY
            if due and self._answered.is_set():
                self._asked_at = time.monotonic()
                self._answered.clear()
                threading.Thread(target=self._run, name="storage probe", daemon=True).start()

    def _run(self) -> None:
        try:
            self._answer = self._ask()
        except Exception as error:  # whatever it is, it is what is wrong with the storage
            log.exception("storage probe failed")
            self._answer = type(error).__name__
        finally:
            self._answered.set()


def _ask_storage() -> str:
    """Written and read back, under a name of this host."""
    key = names.probe_key(socket.gethostname())
    try:
        stored = store.put(key, PROBE, "text/plain", cache_control=store.PRIVATE)
        if isinstance(stored, Fault):
            return stored.detail or stored.code
        same = store.read_range(key, 0, len(PROBE) + 1) == PROBE
    except FileNotFoundError:
        return "what was written is not there"
    except store.StoreError as error:
        return error.fault.detail or error.fault.code
    return "" if same else "what was written reads back differently"


_storage = StorageProbe(_ask_storage)


def _workers() -> str:
    try:
        silent = [name for name, slots in fleet.workers().items() if not slots]
    except Error as error:
        return type(error).__name__
    return f"no heartbeat of: {', '.join(silent)}" if silent else ""


# Each says what is wrong, or "".
PARTS: dict[str, Callable[[], str]] = {
    "database": _database,
    "storage": _storage,
    "workers": _workers,
}
