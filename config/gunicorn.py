"""The web server's settings (https://docs.gunicorn.org/en/stable/settings.html)."""

import gc
import os
from typing import Any

from imageproc.workers.lifeline import die_with_parent

workers = int(os.environ.get("WEB_WORKERS", "2"))
# Threads wait for slow clients and the database; the work of this service is not done here.
worker_class = "gthread"
threads = 8
# An upload of MAX_UPLOAD_BYTES is read by a thread and does not hold the worker's heartbeat.
timeout = 60
graceful_timeout = 15
keepalive = 15
# Worker heartbeats in memory: /tmp may be a slow disk in a container.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108
control_socket_disable = True
accesslog = os.environ.get("WEB_ACCESS_LOG") or None
loglevel = "warning"


def post_fork(server: Any, worker: Any) -> None:
    """A web worker does not outlive the arbiter."""
    die_with_parent(server.pid)


def post_worker_init(worker: Any) -> None:
    """The application is loaded to stay: no collection goes through it any more, which took 60 ms
    in every 300th call and found nothing."""
    gc.collect()
    gc.freeze()
