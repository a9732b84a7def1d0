"""Whether the service lives, and whether it can do its work: for load balancers and Prometheus."""

from __future__ import annotations

import hmac
import socket
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
    given = request.headers.get("Authorization", "")
    return hmac.compare_digest(given.encode(), f"Bearer {settings.METRICS_TOKEN}".encode())


def _database() -> str:
    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as error:
        connection.close()
        return type(error).__name__
    return ""


def _storage() -> str:
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


def _workers() -> str:
    try:
        silent = [name for name, slots in fleet.workers().items() if not slots]
    except Error as error:
        return type(error).__name__
    return f"no heartbeat of: {', '.join(silent)}" if silent else ""


PARTS: dict[str, Callable[[], str]] = {
    "database": _database,
    "storage": _storage,
    "workers": _workers,
}
