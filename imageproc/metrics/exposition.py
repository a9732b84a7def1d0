"""The answer to a scrape by Prometheus, and a server for hosts that run no web server."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from imageproc.metrics.processes import registry


def exposition(accept: str, *collectors: Collector) -> tuple[bytes, str]:
    """(body, content type) of a scrape: what this host counted, and what ``collectors`` yield.
    ``accept`` is the header of that name."""
    encode: Callable[[CollectorRegistry], bytes]
    encode, content_type = choose_encoder(accept)
    found = registry()
    for collector in collectors:
        found.register(collector)
    return encode(found), content_type


def serve(port: int) -> None:
    """Answer scrapes on ``port``, in a thread, with what this host counted. Only the web server
    reports the state of the whole service, so that no two targets report the same series."""
    start_http_server(port, registry=registry())
