"""/healthz and /readyz for load balancers, /metrics for Prometheus."""

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
from imageproc.metrics.exposition import exposition
from imageproc.requests.report import fleet
from imageproc.requests.report.gauges import ServiceState

log = logging.getLogger(__name__)
PROBE = b"imageproc"


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Nothing else is checked, because a restart would mend nothing else."""
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
    """For Prometheus, which sends METRICS_TOKEN as its bearer token. Where none is set, only an
    open service (API_ANONYMOUS) answers."""
    if not _may_scrape(request):
        refusal = HttpResponse("METRICS_TOKEN is needed.\n", "text/plain", 401)
        refusal["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return refusal
    body, content_type = exposition(request.headers.get("Accept", ""), ServiceState())
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
    """Checks the storage at most once in EVERY seconds, however many callers there are.

    A thread of its own makes the check, so that a storage that hangs delays no caller for longer
    than PATIENCE seconds. Calling the probe returns "" when all is well, else what is wrong, as
    ``check`` does, which talks to the storage.
    """

    EVERY = 5.0
    PATIENCE = 1.0
    # A check that is still running after so many seconds counts as a failure.
    SLOW = 10.0

    def __init__(self, check: Callable[[], str]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._started_at = -math.inf
        self._state: str | None = None
        self._finished = threading.Event()
        self._finished.set()

    def __call__(self) -> str:
        self._start_if_due()
        age = time.monotonic() - self._started_at
        if self._finished.wait(max(0.0, self.PATIENCE - age)):
            return self._state or ""
        if self._state is None or age > self.SLOW:
            return "no answer yet"
        return self._state

    def _start_if_due(self) -> None:
        with self._lock:
            due = time.monotonic() - self._started_at >= self.EVERY
            if due and self._finished.is_set():
                self._started_at = time.monotonic()
                self._finished.clear()
                threading.Thread(target=self._run, name="storage probe", daemon=True).start()

    def _run(self) -> None:
        try:
            self._state = self._check()
        except Exception as error:  # any exception means that the storage does not work
            log.exception("storage probe failed")
            self._state = type(error).__name__
        finally:
            self._finished.set()


def check_storage() -> str:
    """Write a small object under this host's name and read it back."""
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


_storage = StorageProbe(check_storage)


def _workers() -> str:
    try:
        silent = [name for name, slots in fleet.workers().items() if not slots]
    except Error as error:
        return type(error).__name__
    return f"no heartbeat of: {', '.join(silent)}" if silent else ""


# Each returns "", or what is wrong.
PARTS: dict[str, Callable[[], str]] = {
    "database": _database,
    "storage": _storage,
    "workers": _workers,
}
