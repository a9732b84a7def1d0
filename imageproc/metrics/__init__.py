"""The counters and histograms for Prometheus; code increments them where a thing happens.

Each process keeps its own in files of METRICS_DIR, so that nothing is lost when a worker is killed;
a scrape adds them up (processes.py).

Names: https://prometheus.io/docs/practices/naming/. No label holds a host name, a URL or an id:
the number of series is the same at any load.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from prometheus_client import Counter, Histogram

if TYPE_CHECKING:
    from imageproc.models import FinishedImage

STEP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

CLAIMED = Counter("imageproc_claimed_images_total", "Images leased by a worker of this host.")
ATTEMPTS = Counter(
    "imageproc_attempts_total", "Attempts at an image that were recorded, by outcome.", ["outcome"]
)
IMAGES = Counter(
    "imageproc_images_total", "Images that reached their end, by outcome.", ["outcome"]
)
BYTES = Counter(
    "imageproc_image_bytes_total", "Bytes of completed images: downloaded, stored.", ["direction"]
)
STEP_SECONDS = Histogram(
    "imageproc_image_step_seconds",
    "Time of one step of a completed image.",
    ["step"],
    buckets=STEP_BUCKETS,
)
LEASES_EXPIRED = Counter(
    "imageproc_leases_expired_total", "Images taken back from workers that were lost."
)
WORKER_DEATHS = Counter(
    "imageproc_worker_deaths_total", "Cluster processes that died and were replaced.", ["cluster"]
)
HOST_PAUSES = Counter(
    "imageproc_host_pauses_total", "Pauses that image hosts were given, by reason.", ["reason"]
)
HOST_PAUSE_SECONDS = Counter(
    "imageproc_host_pause_seconds_total", "Length of these pauses.", ["reason"]
)
WEBHOOK_ATTEMPTS = Counter(
    "imageproc_webhook_attempts_total", "Attempts to deliver a webhook, by outcome.", ["outcome"]
)
HTTP_SECONDS = Histogram(
    "imageproc_http_request_seconds",
    "Time to the response of a request, its body not included.",
    ["method", "route", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)


class Attempt(Protocol):
    """``code`` is that of the fault, or "" for success; after a success ``steps`` holds the
    milliseconds of each step."""

    @property
    def code(self) -> str: ...
    @property
    def steps(self) -> Mapping[str, int]: ...


def attempted(attempts: Iterable[Attempt]) -> None:
    """Count attempts after their outcomes were written to the rows."""
    for attempt in attempts:
        ATTEMPTS.labels(attempt.code or "completed").inc()
        for step, milliseconds in attempt.steps.items():
            STEP_SECONDS.labels(step).observe(milliseconds / 1000)


def paused(reason: str, seconds: float) -> None:
    """Count a pause that begins now for an image host."""
    HOST_PAUSES.labels(reason).inc()
    HOST_PAUSE_SECONDS.labels(reason).inc(seconds)


def ended(images: Iterable[FinishedImage]) -> None:
    """Count images that have just reached a final state."""
    for image in images:
        IMAGES.labels(image.code or "completed").inc()
        if not image.code:
            BYTES.labels("in").inc(image.bytes_in)
            BYTES.labels("out").inc(image.bytes_out)
