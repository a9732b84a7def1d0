"""The only place that puts tasks on the queue, and the only one that takes them off.

Tasks carry ids only and may be lost, doubled or late: the rows are the truth, and the sweep
enqueues a missing task again. The queue is a table of the same database, so a task enqueued inside
a transaction exists exactly when the rows that need it do.
"""

from __future__ import annotations

import logging
import time
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import Error, connection
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.tasks import async_task

from imageproc.models import ClusterHeartbeat
from imageproc.workers import board

logger = logging.getLogger(__name__)
IMAGES = "images"
CONTROL = "control"
RECONNECT_SECONDS = 1.0


class Broker(ORM):  # type: ignore[misc]
    """django-q2's queue table; a task leaves it when a cluster takes it.

    q2's own broker locks a task until it is acknowledged, by the clock of the host. Here nothing
    waits for a lock to run out, and no host's clock matters.
    """

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        """The table. q2's own asks the database at once: no cluster could start without it."""
        return OrmQ.objects

    def dequeue(self) -> list[tuple[int, str]]:
        """The oldest task as (id, signed package), or after a pause nothing."""
        with board.polling():
            try:
                return self._take_oldest()
            except Error as error:
                logger.warning("The queue cannot be read, trying again: %s", error)
                connection.close()
                time.sleep(RECONNECT_SECONDS)
        return []

    def _take_oldest(self) -> list[tuple[int, str]]:
        row = waiting_tasks(self.list_key).order_by("id").first()
        if row is None:
            time.sleep(Conf.POLL)
            return []
        taken, _ = OrmQ.objects.filter(pk=row.pk).delete()
        return [(row.pk, row.payload)] if taken else []  # else another cluster was faster

    def acknowledge(self, task_id: int) -> None:
        """Nothing to do: the task left the table when it was taken."""


def waiting_tasks(cluster: str) -> Any:
    """Tasks that no cluster of this name has taken yet."""
    return OrmQ.objects.filter(key=cluster)


def waiting(cluster: str) -> int:
    return int(waiting_tasks(cluster).count())


def ensure_pumps() -> int:
    """Top the queue up to one waiting pump for each worker process. Pumps added.

    Only waiting pumps count: one that was taken may be running, or may have died with its worker.
    A pump too many finds nothing to claim and ends at once.
    """
    slots = ClusterHeartbeat.objects.slots(IMAGES) or settings.WORKERS
    missing = slots - waiting(IMAGES)
    for _ in range(missing):
        enqueue_pump()
    return max(0, missing)


def enqueue_pump() -> None:
    async_task("imageproc.tasks.pump", cluster=IMAGES)


def enqueue_ingest(request_id: UUID) -> None:
    _enqueue_control("imageproc.tasks.ingest", request_id)


def enqueue_complete(request_id: UUID) -> None:
    _enqueue_control("imageproc.tasks.complete", request_id)


def enqueue_close(request_id: UUID) -> None:
    _enqueue_control("imageproc.tasks.close_images", request_id)


def enqueue_erase(request_id: UUID) -> None:
    _enqueue_control("imageproc.tasks.erase", request_id)


def enqueue_discard(upload_id: UUID) -> None:
    _enqueue_control("imageproc.tasks.discard_upload", upload_id)


def enqueue_collect() -> None:
    async_task("imageproc.tasks.collect", cluster=CONTROL)


def enqueue_delivery(delivery_id: UUID) -> None:
    _enqueue_control("imageproc.tasks.deliver", delivery_id)


def enqueue_mail(mail_id: UUID) -> None:
    _enqueue_control("imageproc.tasks.send_mail", mail_id)


def _enqueue_control(task: str, row_id: UUID) -> None:
    async_task(task, str(row_id), cluster=CONTROL)
