"""The one place that puts tasks on the queue.

Tasks carry ids only and may be lost, doubled or late: the rows are the truth, and the sweep puts
a missing task back. The queue is a table of the same database, so a task enqueued inside a
transaction exists exactly when the rows that need it do.
"""

from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.tasks import async_task

from imageproc.models import ClusterHeartbeat
from imageproc.workers import wakeup

IMAGES = "images"
CONTROL = "control"


def ensure_pumps() -> int:
    """Top the queue up to one waiting pump a worker slot. Pumps added.

    Only waiting pumps count: one that was taken may be running, or may have died with its worker.
    Surplus pumps find nothing to claim and end at once.
    """
    slots = ClusterHeartbeat.objects.slots(IMAGES) or settings.WORKERS
    missing = slots - waiting(IMAGES)
    for _ in range(missing):
        enqueue_pump()
    return max(0, missing)


def waiting(cluster: str) -> int:
    """Tasks of a cluster that nobody has taken."""
    return int(OrmQ.objects.filter(key=cluster, lock__lte=Now()).count())


def enqueue_pump() -> None:
    _enqueue("imageproc.tasks.pump", cluster=IMAGES)


def enqueue_ingest(request_id: UUID) -> None:
    _enqueue("imageproc.tasks.ingest", request_id)


def enqueue_complete(request_id: UUID) -> None:
    _enqueue("imageproc.tasks.complete", request_id)


def enqueue_close(request_id: UUID) -> None:
    _enqueue("imageproc.tasks.close_images", request_id)


def enqueue_erase(request_id: UUID) -> None:
    _enqueue("imageproc.tasks.erase", request_id)


def enqueue_discard(upload_id: UUID) -> None:
    _enqueue("imageproc.tasks.discard_upload", upload_id)


def enqueue_delivery(delivery_id: UUID) -> None:
    _enqueue("imageproc.tasks.deliver", delivery_id)


def _enqueue(task: str, *ids: UUID, cluster: str = CONTROL) -> None:
    broker = _Broker(cluster)
    async_task(task, *(str(value) for value in ids), cluster=cluster, broker=broker)


class _Broker(ORM):  # type: ignore[misc]
    def enqueue(self, task: str) -> int:
        """Due at once by the database's clock, which is the one that every host goes by."""
        row = self.get_connection().create(key=self.list_key, payload=task, lock=Now())
        wakeup.ring(self.list_key)
        return int(row.pk)
