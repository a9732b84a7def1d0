"""A webhook receiver that verifies messages and misbehaves to a plan."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.servers.process import free_ports
from tests.workers.harness import wait_for


class Receiver:
    """The process, and what it wrote down."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}/hook?token=abc"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        script = Path(__file__).with_name("receiver_process.py")
        self.process = subprocess.Popen([sys.executable, script, str(self.port), self.folder])
        wait_for(self._answers)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()

    def plan(self, *answers: str) -> None:
        (self.folder / "plan").write_text("\n".join(answers))

    def trust(self, secret: str) -> None:
        (self.folder / "secret").write_text(secret)

    def set_clock(self, ahead: float) -> None:
        """Seconds by which the receiver's clock is ahead of this process's."""
        (self.folder / "clock").write_text(str(ahead))

    @property
    def log(self) -> list[dict[str, Any]]:
        path = self.folder / "log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
