"""What Prometheus is told: the answer to a scrape, and a server for hosts that run no web.

What was counted (metrics/), in all processes of this host (processes.py); the machine (host.py);
and, from the web server only, the whole service as the database knows it (gauges.py).
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.exposition import choose_encoder

from imageproc.scrape.gauges import Service
from imageproc.scrape.host import Host
from imageproc.scrape.processes import Processes


def exposition(accept: str) -> tuple[bytes, str]:
    """(body, content type) of the web server's scrape: processes of this host, the host, and
    the whole service."""
    encode: Callable[[CollectorRegistry], bytes]
    encode, content_type = choose_encoder(accept)
    return encode(_registry(Processes(), Host(), Service())), content_type


def serve(port: int) -> None:
    """Answer scrapes on ``port``, in a thread: what this host did. The whole service's gauges
    are the web server's to give, so that no two targets give the same series."""
    start_http_server(port, registry=_registry(Processes(), Host()))


def _registry(*collectors: Processes | Host | Service) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    return registry
