"""One server process: started on loopback, awaited, ended with the process that started it."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """``count`` different ports that nobody listens on now.

    Below the range from which the kernel picks the ports of outgoing connections, so that none is
    taken while its server is down; no higher than 10000 below 65536, which SeaweedFS adds for gRPC.
    Each process of ``pytest -n`` has a range of its own, for the same reason.
    """
    ports: list[int] = []
    sockets = []
    for port in _range():
        candidate = socket.socket()
        try:
            candidate.bind((HOST, port))
        except OSError:
            candidate.close()
            continue
        sockets.append(candidate)
        ports.append(port)
        if len(ports) == count:
            break
    for taken in sockets:
        taken.close()
    assert len(ports) == count, "no free ports"
    return ports


def _range() -> range:
    lanes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    lane = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    width = 12_000 // lanes
    first = 20_000 + lane * width
    return range(first + (time.time_ns() // 1000) % (width * 2 // 3), first + width)


def leash(user: str = "") -> list[str]:
    """The command prefix by which the kernel kills a server whose parent dies; Linux only."""
    setpriv = shutil.which("setpriv")
    if sys.platform != "linux" or setpriv is None:
        assert not user, "setpriv(1) of util-linux is needed to start a server as another user"
        return []
    identity = [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    return [setpriv, *identity, "--pdeathsig=KILL", "--"]


class Server(ABC):
    """A server with its own folder of data, which lives as long as this object's process.

    Start it from the main thread: the kernel ends it with the *thread* that started it.
    """

    name: str
    start_timeout = 60.0
    # The whole environment of the process; None: the test's own.
    env: Mapping[str, str] | None = None

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"imageproc-{self.name}-"))
        self.log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @abstractmethod
    def command(self) -> list[str]:
        """The command line, which must stay in the foreground."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the server answers; any OSError means not yet."""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it answers; nothing if it runs already."""
        if self.running:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.env,
            )
        self._wait_until_ready()

    def stop(self, sig: signal.Signals = signal.SIGTERM, timeout: float = 20.0) -> None:
        """End it in its own good order; kill it after ``timeout`` seconds."""
        if not self.running:
            return
        assert self._process is not None
        self._process.send_signal(sig)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        """End it for good and remove its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.start_timeout
        while time.monotonic() < deadline:
            assert self.running, f"{self.name} ended at its start:\n{self.log_tail()}"
            try:
                if self.is_ready():
                    return
            except OSError:
                pass
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"{self.name} did not answer in time:\n{self.log_tail()}")

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]
