"""The web server's settings (https://docs.gunicorn.org/en/stable/settings.html)."""

import gc
import os
from typing import Any

from gunicorn.glogging import Logger

from imageproc.workers.lifeline import die_with_parent

workers = int(os.environ.get("WEB_WORKERS", "2"))
# Threads wait for the database and for slow bodies; the work of this service is not done here.
worker_class = "config.request_deadline.RequestDeadlineWorker"
threads = 8
# Connections of a worker, most of them idle or waiting for their request.
worker_connections = 2000
# An upload of MAX_UPLOAD_BYTES is read by a thread and does not hold the worker's heartbeat.
timeout = 60
graceful_timeout = 15
keepalive = 15
# Worker heartbeats in memory: /tmp may be a slow disk in a container.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112, S108
control_socket_disable = True
accesslog = os.environ.get("WEB_ACCESS_LOG") or None
# The path without its query, and no Referer: a query may hold what must not be kept.
access_log_format = '%(h)s %(t)s "%(m)s %(U)s %(H)s" %(s)s %(b)s "%(a)s"'


class QueryFreeLog(Logger):  # type: ignore[misc]
    """gunicorn's log, which names the address of a call that failed, without its query."""

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        without_queries = (str(arg).partition("?")[0] for arg in args)
        super().exception(msg, *without_queries, **kwargs)


logger_class = QueryFreeLog
loglevel = "warning"


def post_fork(server: Any, worker: Any) -> None:
    """A web worker does not outlive the arbiter."""
    die_with_parent(server.pid)


def post_worker_init(worker: Any) -> None:
    """Take the loaded application out of garbage collection, which took 60 ms in every 300th call
    and found nothing there."""
    gc.collect()
    gc.freeze()
