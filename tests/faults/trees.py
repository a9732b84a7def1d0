"""The service in its parts, as on several hosts: a web server, worker trees that come and go."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from contextlib import suppress

import psutil

from tests.support.servers.process import HOST, Server, leash
from tests.support.servers.service import MANAGE, Service

ROLES = 14  # two clusters of main, keeper, guard, two helpers and two workers


class Web(Service):
    """The web server alone."""

    name = "web"

    def command(self) -> list[str]:
        return [
            *(*leash(), sys.executable, "-m", "gunicorn", "--config", "python:config.gunicorn"),
            *("--chdir", str(MANAGE.parent), "--bind", f"{HOST}:{self.port}", "config.wsgi"),
        ]


class Workers(Server):
    """`manage.py worker` in the environment of ``web``, and more."""

    name = "workers"
    start_timeout = 120.0

    def __init__(self, web: Web, env: Mapping[str, str]) -> None:
        super().__init__()
        self.env = {**web.env, **env}

    def command(self) -> list[str]:
        return [*leash(), sys.executable, str(MANAGE), "worker"]

    def is_ready(self) -> bool:
        """Every process has its name, and can take work."""
        return len(descendants(self.pid, ("images.", "control."))) >= ROLES

    def signal(self, number: signal.Signals) -> None:
        """To the supervisor, as a container's runtime does it."""
        assert self._process is not None
        self._process.send_signal(number)

    def ends(self, seconds: float) -> int:
        """The exit code, within ``seconds``."""
        assert self._process is not None
        return self._process.wait(seconds)


def descendants(pid: int, role: str | tuple[str, ...]) -> list[psutil.Process]:
    """The processes below ``pid`` whose names begin with ``role``."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if process.name().startswith(role):
                    found.append(process)
    return found
