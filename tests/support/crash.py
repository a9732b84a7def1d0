"""Stops a process before or after a step that must not be left half done.

An application of the settings in ``tests.support.crash_settings``. It wraps the product's functions
in STEPS as soon as they are loaded; the product itself knows nothing of it. CRASH_AT is a
comma-separated list of::

    record:before=3          SIGKILL when a process reaches this point for the 3rd time; once in all
                             processes, noted as the file DATA_DIR/crashed/record:before
    compress:before@bad=eat  at every call with that text in an argument: kill, eat, spin or hang
"""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import import_string

# Step → the function that takes it, by the name that its caller looks up.
STEPS = {
    "cursor": "imageproc.models.request.RequestQuerySet.advance_ingest",
    "rows": "imageproc.intake.ingest.insert_rows",
    "pumps": "imageproc.workers.queue.ensure_pumps",
    "claim": "imageproc.images.claim.claim",
    "fetch": "imageproc.images.work.fetch",
    "compress": "imageproc.images.work.compress",
    "put": "imageproc.images.store.put",
    "record": "imageproc.images.record.record",
    "outcomes": "imageproc.images.record.update_rows",
    "tally": "imageproc.models.minute.MinuteQuerySet.add",
    "return": "imageproc.images.sweep.return_expired",
    "output": "imageproc.requests.report.output_file",
    "settle": "imageproc.models.request.RequestQuerySet.settle",
    "webhook": "imageproc.requests.webhooks.announce",
    "release": "imageproc.models.request.RequestQuerySet.release",
    "send": "imageproc.images.fetch.post",
}
POINTS = tuple(f"{step}:{side}" for step in STEPS for side in ("before", "after"))


class CrashPoints(AppConfig):
    name = "tests.support.crash"
    label = "crash"

    def ready(self) -> None:
        for point, charges in _parse(os.environ["CRASH_AT"]).items():
            step, _, side = point.partition(":")
            _wrap(STEPS[step], charges, before=side == "before")


@dataclass(slots=True)
class Charge:
    """Goes off once, at the ``left``-th call; or at every call whose arguments hold ``subject``."""

    point: str
    subject: str
    action: Callable[[], None]
    left: int = 1

    def pass_by(self, arguments: tuple[Any, ...]) -> None:
        if self.subject:
            if self.subject in repr(arguments):
                self.action()
            return
        self.left -= 1
        if self.left == 0 and self._first_process():
            self.action()

    def _first_process(self) -> bool:
        folder = Path(settings.DATA_DIR) / "crashed"
        folder.mkdir(exist_ok=True)
        try:
            (folder / self.point).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def _wrap(path: str, charges: list[Charge], *, before: bool) -> None:
    """Put a wrapper in the place of the function at ``path``.

    A call that found nothing to do (it returned False, 0 or an empty list) is not passed after it:
    nothing was left half done.
    """
    owner_path, _, name = path.rpartition(".")
    owner = import_string(owner_path) if owner_path.endswith("QuerySet") else _module(owner_path)
    step = getattr(owner, name)

    @functools.wraps(step)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if before:
            _pass_by(charges, args)
        result = step(*args, **kwargs)
        if not before and (result is None or result):
            _pass_by(charges, args)
        return result

    setattr(owner, name, wrapper)


def _module(path: str) -> Any:
    return __import__(path, fromlist=["*"])


def _pass_by(charges: list[Charge], arguments: tuple[Any, ...]) -> None:
    for charge in charges:
        charge.pass_by(arguments)


def _parse(text: str) -> dict[str, list[Charge]]:
    armed: dict[str, list[Charge]] = {}
    for entry in filter(None, text.split(",")):
        place, _, how = entry.partition("=")
        point, _, subject = place.partition("@")
        if point not in POINTS:
            raise ValueError(f"CRASH_AT: no crash point is called {point!r}")
        action, left = (ACTIONS[how], 1) if subject else (kill, int(how or 1))
        armed.setdefault(point, []).append(Charge(point, subject, action, left))
    return armed


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def eat() -> None:
    eaten: list[bytes] = []
    while True:
        eaten.append(os.urandom(1 << 16) * 256)  # 16 MB, every page of it touched
        time.sleep(0.01)


def spin() -> None:
    while True:
        pass


def hang() -> None:
    while True:
        time.sleep(3600)


ACTIONS = {"kill": kill, "eat": eat, "spin": spin, "hang": hang}
