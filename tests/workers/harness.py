"""A real worker tree on a database of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dj_database_url
import psutil
from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler
from django.utils import timezone
from django_q.signing import SignedPackage

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"


def wait_for(what: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first truthy answer of ``what``; fails when none comes in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := what():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"nothing after {seconds} s")


def run(*command: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A management command, to its end."""
    return subprocess.run(
        [sys.executable, str(MANAGE), *command],
        env=env,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


class Tree:
    """``manage.py <command>`` and all its descendants; ``database_url`` must be migrated."""

    def __init__(
        self, directory: Path, command: Sequence[str] = ("worker",), **env: str | int | float
    ) -> None:
        self.directory = directory
        self.command = command
        self.database_url = str(env.pop("DATABASE_URL", f"sqlite:///{directory}/db.sqlite3"))
        self.env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.workers.settings",
            "DATA_DIR": str(directory),
            "DATABASE_URL": self.database_url,
            "SECRET_KEY": settings.SECRET_KEY,
            "HTTPS": "false",
            "WORKERS": "2",
            "LEASE_SECONDS": "2",
            "TICK_SECONDS": "0.5",
            **{key: str(value) for key, value in env.items()},
        }
        self.log = directory / "log.txt"

    def start(self, roles: int = 0) -> Tree:
        """Start, and wait until ``roles`` processes have named themselves."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(MANAGE), *self.command],
                env=self.env,
                cwd=MANAGE.parent,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if roles:
            wait_for(lambda: len(self.named()) >= roles, 90)
        return self

    def processes(self) -> list[psutil.Process]:
        """Every process of the tree that lives now, orphans included: they share its session."""
        found = []
        for pid in psutil.pids():
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                if os.getsid(pid) == self.process.pid:
                    found.append(psutil.Process(pid))
        return [process for process in found if _lives(process)]

    def named(self, role: str = ".") -> list[psutil.Process]:
        """Those called ``images.worker``, ``control.guard``, …"""
        return [process for process in self.processes() if role in _name(process)]

    def pids(self, role: str) -> set[int]:
        return {process.pid for process in self.named(role)}

    def wait_for_new(self, role: str, before: set[int], count: int = 1) -> None:
        """Until ``count`` processes of this role live that are not in ``before``."""
        wait_for(lambda: len(self.pids(role) - before) >= count, 30)

    def kill(self, role: str) -> None:
        """SIGKILL every process of this role, once there is one, and see that it is gone."""
        victims = wait_for(lambda: self.named(role))
        for victim in victims:
            victim.kill()
        wait_for(lambda: not any(_lives(victim) for victim in victims))

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def signal_everyone(self, number: int) -> None:
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def wait(self, seconds: float = 30.0) -> int:
        """The exit code, within ``seconds``."""
        return self.process.wait(seconds)

    def end(self) -> None:
        """Kill whatever is left."""
        self.process.kill()
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()
        wait_for(lambda: not self.processes())

    @contextmanager
    def database(self) -> Iterator[BaseDatabaseWrapper]:
        config: Any = dj_database_url.parse(self.database_url)
        connection: Any = ConnectionHandler({"default": config})["default"]
        try:
            yield connection
        finally:
            connection.close()

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database() as connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []

    def enqueue(self, task: str, *args: Any, cluster: str = "images", **options: Any) -> None:
        """Put a task of tests.workers.tasks on the queue."""
        package = {
            "id": os.urandom(16).hex(),
            "name": task,
            "func": f"tests.workers.tasks.{task}",
            "args": tuple(str(arg) if isinstance(arg, Path) else arg for arg in args),
            "kwargs": {},
            "started": timezone.now(),
            **options,
        }
        payload = SignedPackage.dumps(package)
        with self.database() as connection, connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO django_q_ormq (key, payload) VALUES (%s, %s)", (cluster, payload)
            )

    def queued(self) -> int:
        return int(self.query("SELECT count(*) FROM django_q_ormq")[0][0])

    def runs_a_task(self, seconds: float = 30.0, cluster: str = "images") -> None:
        """Enqueue a task, again every second as the sweep does, until it has run."""
        file = self.directory / f"ran-{os.urandom(4).hex()}"
        deadline = time.monotonic() + seconds
        while not file.exists():
            assert time.monotonic() < deadline, f"no task was run in {seconds} s"
            self.enqueue("touch", file, cluster=cluster)
            with suppress(AssertionError):
                wait_for(file.exists, 1)


def empty_database(directory: Path) -> Path:
    """A migrated SQLite file to copy."""
    env = os.environ | {"DATA_DIR": str(directory), "DATABASE_URL": f"sqlite:///{directory}/db"}
    done = run("migrate", "-v0", env=env)
    assert done.returncode == 0, done.stderr
    return directory / "db"


def copy_database(template: Path, directory: Path) -> None:
    for suffix in ("", "-wal"):
        if (source := template.with_name(template.name + suffix)).exists():
            shutil.copy(source, directory / f"db.sqlite3{suffix}")


def wait_for_lines(path: Path, *wanted: str) -> None:
    """Until a task has written just these (with none given: anything)."""
    wait_for(lambda: lines(path) == list(wanted) if wanted else lines(path))


def lines(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


TERM, INT, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGKILL
