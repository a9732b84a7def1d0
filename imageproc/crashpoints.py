"""Places where a test stops a process: before and after each step that must not be half done.

Off in production: nothing is armed without IMAGEPROC_CRASH_AT, and the start-up check refuses that
variable without DEBUG. An unarmed point costs one comparison.

IMAGEPROC_CRASH_AT is a comma-separated list of::

    record:before=3              SIGKILL when a process reaches the point for the 3rd time; once in
                                 all processes, noted as the file DATA_DIR/crashed/record:before
    compress:before@/bad.jpg=eat  whenever the subject holds that text: kill, eat, spin or hang
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

STEPS = (
    *("cursor", "ingest", "claim", "fetch", "compress", "put", "record", "count", "return"),
    *("output", "finalise", "webhook", "send"),
)
POINTS = tuple(f"{step}:{side}" for step in STEPS for side in ("before", "after"))


@dataclass(slots=True)
class _Charge:
    """One armed point: at the ``left``-th passage once, or at every passage of a ``subject``."""

    subject: str
    action: Callable[[], None]
    left: int = 1

    def pass_by(self, name: str, subject: str) -> None:
        if self.subject:
            if self.subject in subject:
                self.action()
            return
        self.left -= 1
        if self.left == 0 and _first(name):
            self.action()


def crash_point(name: str, subject: str = "") -> None:
    """Does nothing, unless a test has armed the point called ``name``."""
    if _armed:
        for charge in _armed.get(name, ()):
            charge.pass_by(name, subject)


def crashed() -> Path:
    """The folder with one empty file for each point that has fired."""
    return Path(settings.DATA_DIR) / "crashed"


def _first(name: str) -> bool:
    crashed().mkdir(exist_ok=True)
    try:
        os.close(os.open(crashed() / name, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _eat() -> None:
    eaten: list[bytes] = []
    while True:
        eaten.append(os.urandom(1 << 16) * 256)  # 16 MB, every page of it touched
        time.sleep(0.01)


def _spin() -> None:
    while True:
        pass


def _hang() -> None:
    while True:
        time.sleep(3600)


_ACTIONS = {"kill": _kill, "eat": _eat, "spin": _spin, "hang": _hang}


def _parse(text: str) -> dict[str, list[_Charge]]:
    armed: dict[str, list[_Charge]] = {}
    for entry in filter(None, text.split(",")):
        place, _, how = entry.partition("=")
        name, _, subject = place.partition("@")
        if name not in POINTS:
            raise ValueError(f"IMAGEPROC_CRASH_AT: no crash point is called {name!r}")
        charge = _Charge(subject, _ACTIONS[how]) if subject else _Charge("", _kill, int(how or 1))
        armed.setdefault(name, []).append(charge)
    return armed


_armed = _parse(settings.CRASH_AT) if settings.DEBUG else {}


@register
def refuse_crash_points(app_configs: Sequence[Any] | None, **options: Any) -> list[CheckMessage]:
    if not settings.CRASH_AT or settings.DEBUG:
        return []
    return [Error("IMAGEPROC_CRASH_AT is for tests only: unset it.", id="imageproc.E090")]
