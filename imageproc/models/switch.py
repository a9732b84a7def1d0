"""What operators can pause."""

from __future__ import annotations

from django.db import models


class SwitchQuerySet(models.QuerySet["Switch"]):
    def is_paused(self, name: str) -> bool:
        return self.filter(name=name, paused=True).exists()

    def set_paused(self, name: str, paused: bool) -> None:
        self.update_or_create(name=name, defaults={"paused": paused})


class Switch(models.Model):
    INTAKE = "intake"
    WORKERS = "workers"

    name = models.CharField(max_length=20, primary_key=True)
    paused = models.BooleanField(default=False)
    changed_at = models.DateTimeField(auto_now=True)

    objects = SwitchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "switches"

    def __str__(self) -> str:
        return f"{self.name}: {'paused' if self.paused else 'running'}"
