"""The state of the whole service as Prometheus gauges, read from the database at each scrape."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from django.db import Error
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from imageproc.requests.report import fleet, hosts

log = logging.getLogger(__name__)


class ServiceState(Collector):
    """While the database is away it yields only ``imageproc_database_up``, as 0."""

    def collect(self) -> Iterator[Metric]:
        try:
            metrics = list(_read())
        except Error:
            log.warning("the database is away", exc_info=True)
            metrics = []
        yield GaugeMetricFamily(
            "imageproc_database_up", "Whether the database answered.", value=int(bool(metrics))
        )
        yield from metrics


def _read() -> Iterator[Metric]:
    yield _by(
        "imageproc_queue_images", "Images not in a final state.", "priority", fleet.queue_depth()
    )
    yield _by(
        "imageproc_queue_oldest_seconds",
        "How long the oldest image that could be claimed has waited.",
        "priority",
        fleet.oldest_wait(),
    )
    yield _by("imageproc_workers", "Worker processes alive.", "cluster", fleet.workers())
    yield _by("imageproc_paused", "Paused by an operator.", "switch", fleet.paused())
    yield _by(
        "imageproc_hosts",
        "Image hosts that have a pace; that are closed because they do not answer, asked us to slow"
        " down, or were closed by an operator.",
        "state",
        fleet.hosts(),
    )
    yield GaugeMetricFamily(
        "imageproc_host_waiting_images",
        "Images that wait for a host with a limit.",
        value=hosts.waiting_images().total(),
    )
    yield _by(
        "imageproc_webhook_deliveries",
        "Webhooks owed; owed and tried before; given up in the last day.",
        "state",
        fleet.deliveries(),
    )
    yield GaugeMetricFamily(
        "imageproc_stored_bytes", "Bytes of all renditions.", value=fleet.storage_bytes()
    )
    if (size := fleet.database_bytes()) is not None:
        yield GaugeMetricFamily("imageproc_database_bytes", "Size of the database.", value=size)


def _by(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for label_value, value in values.items():
        family.add_metric([label_value], float(value))
    return family
