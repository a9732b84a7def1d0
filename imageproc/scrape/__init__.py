"""The answer to a scrape by Prometheus, and a server for hosts that run no web server."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.exposition import choose_encoder

from imageproc.scrape.gauges import Service
from imageproc.scrape.processes import registry


def exposition(accept: str) -> tuple[bytes, str]:
    """(body, content type) of the web server's scrape: what this host counted, and the whole
    service as the database knows it."""
    encode: Callable[[CollectorRegistry], bytes]
    encode, content_type = choose_encoder(accept)
    found = registry()
    found.register(Service())
    return encode(found), content_type


def serve(port: int) -> None:
    """Answer scrapes on ``port``, in a thread: what this host counted. The gauges of the whole
    service are the web server's, so that no two targets report the same series."""
    start_http_server(port, registry=registry())
