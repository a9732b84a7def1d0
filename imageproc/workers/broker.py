"""q2's queue table as a queue of leases: who takes a task holds it for LEASE_SECONDS at a time.

Stock q2 locks a task for ``retry`` seconds, which must be longer than the longest task: what a
killed worker held would lie still for that long. Here the lock is short and the cluster renews it
while a worker has the task in hand.
"""

import logging
import time
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import Error, close_old_connections, connection
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ
from django_q.monitor import save_task
from django_q.signing import BadSignature, SignedPackage

from imageproc.workers.board import Board
from imageproc.workers.channel import Channel
from imageproc.workers.wakeup import Listener

logger = logging.getLogger(__name__)
SHORT, LONG = 0.001, 0.05  # seconds between two looks at the board


class Broker(ORM):  # type: ignore[misc]
    """Takes a task only when a worker waits for one, so that nothing lies locked behind a long one.

    A task's attempts are counted in its own package *before* each attempt: q2 counts only those
    that return, so that one which kills its process would come back for ever. After MAX_ATTEMPTS
    it is recorded as failed, and its ``hook`` is called.
    """

    def __init__(self, name: str, board: Board, tasks: Channel) -> None:
        super().__init__(name)
        self.board = board
        self.tasks = tasks
        self._bell = Listener(name)

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        """The table; unlike q2's, it does not connect before the first query (the guard forks)."""
        close_old_connections()
        return OrmQ.objects

    def dequeue(self) -> list[tuple[int, str]]:
        """At most one task, as (row, signed package); waits a little when there is none."""
        self._await_worker()
        try:
            row = None if self.board.stopping else self._due().first()
            if row is not None:
                return self._take(row)
            if not self.board.stopping:
                self._bell.wait(Conf.POLL)
        except Error as error:
            logger.warning("The queue cannot be read, trying again: %s", error)
            connection.close()
            time.sleep(1)
        return []

    def _await_worker(self) -> None:
        delay = SHORT
        while not self.board.stopping and (self.tasks.unread() or not self.board.waiting()):
            time.sleep(delay)
            delay = min(LONG, delay * 2)

    def _due(self) -> Any:
        """Without the look at the connection's health that ``get_connection`` takes: asked at
        every poll by every cluster. What a broken one raises, ``dequeue`` handles."""
        return OrmQ.objects.filter(key=self.list_key, lock__lt=Now()).order_by("id")

    def _take(self, row: OrmQ) -> list[tuple[int, str]]:
        task = _open(row.payload)
        task["attempts"] = task.get("attempts", 0) + 1
        payload = SignedPackage.dumps(task) if "func" in task else row.payload
        # By the payload, which every attempt changes: SQLite compares times as text, and Now()
        # writes them shorter than Python does.
        held = OrmQ.objects.filter(pk=row.pk, payload=row.payload, lock__lt=Now())
        if not held.update(lock=lease(), payload=payload):
            time.sleep(LONG)  # another cluster was faster
            return []
        self.board.signals.taken_at = time.monotonic()
        if Conf.MAX_ATTEMPTS and task["attempts"] > Conf.MAX_ATTEMPTS:
            self._give_up(row, task)
            return []
        return [(row.pk, payload)]

    def _give_up(self, row: OrmQ, task: dict[str, Any]) -> None:
        reason = f"Its process died in each of {task['attempts'] - 1} attempts."
        logger.error("Task %s (%s) is given up. %s", row.pk, task["func"], reason)
        save_task({**task, "success": False, "result": reason, "stopped": timezone.now()}, self)
        self.acknowledge(row.pk)


def _open(payload: str) -> dict[str, Any]:
    """The task in a signed package; {} for a broken one, which q2's pusher reports and removes."""
    try:
        task: dict[str, Any] = SignedPackage.loads(payload)
    except (TypeError, BadSignature):
        return {}
    return task


def lease() -> Combinable:
    """Until when, by the database's clock: a host's own may be a day off."""
    return Now() + timedelta(seconds=settings.LEASE_SECONDS)


def renew(rows: list[int]) -> None:
    """Keep the tasks that workers have in hand."""
    if rows:
        close_old_connections()
        OrmQ.objects.filter(pk__in=rows).update(lock=lease())


def overdue(name: str, seconds: float) -> bool:
    """Has a task of this cluster been due for so long?"""
    limit = Now() - timedelta(seconds=seconds)
    close_old_connections()
    return bool(OrmQ.objects.filter(key=name, lock__lt=limit).exists())
