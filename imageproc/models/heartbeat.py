"""Heartbeats of the clusters: which of them are alive."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import models
from django.db.models.functions import Now

# A cluster counts as dead after so many seconds without a beat; it beats three times as often.
ALIVE_SECONDS = 30


class HeartbeatQuerySet(models.QuerySet["ClusterHeartbeat"]):
    def alive(self) -> HeartbeatQuerySet:
        return self.filter(beat_at__gt=Now() - timedelta(seconds=ALIVE_SECONDS))

    def beat(self, *, name: str, host: str, pid: int, workers: int, stopping: bool = False) -> None:
        """Only the cluster itself writes its row, so the two statements need no lock."""
        who: dict[str, Any] = {"name": name, "host": host, "pid": pid}
        if not self.filter(**who).update(workers=workers, stopping=stopping, beat_at=Now()):
            self.create(**who, workers=workers, stopping=stopping)

    def leave(self, *, name: str, host: str, pid: int) -> None:
        self.filter(name=name, host=host, pid=pid).delete()

    def forget_dead(self) -> int:
        """Remove clusters that have been silent for a day."""
        return self.filter(beat_at__lt=Now() - timedelta(days=1)).delete()[0]

    def slots(self, name: str) -> int:
        """Worker processes alive under this cluster name, over all hosts."""
        total = self.alive().filter(name=name, stopping=False).aggregate(n=models.Sum("workers"))
        return total["n"] or 0


class ClusterHeartbeat(models.Model):
    name = models.CharField(max_length=40)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    workers = models.PositiveSmallIntegerField()
    stopping = models.BooleanField(default=False)
    started_at = models.DateTimeField(db_default=Now())
    beat_at = models.DateTimeField(db_default=Now())

    objects = HeartbeatQuerySet.as_manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(name="heartbeat_once", fields=("name", "host", "pid")),
        )

    def __str__(self) -> str:
        return f"{self.name} on {self.host} ({self.pid})"
