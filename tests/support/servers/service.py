"""The product itself: `manage.py up`, with real workers, on a database and storage of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from tests.support.servers.process import HOST, Server, free_ports, leash

MANAGE = Path(__file__).resolve().parents[3] / "manage.py"
FINAL = ("COMPLETED", "FAILED", "CANCELLED")


class Service(Server):
    """Reaches origins on loopback at the given ports; anything else by ``env``."""

    name = "service"
    start_timeout = 120.0

    def __init__(self, *origin_ports: int, env: Mapping[str, str] | None = None) -> None:
        super().__init__()
        [self.port] = free_ports(1)
        self.headers: dict[str, str] = {}  # of every call, such as Authorization
        # Not the test process's own database: two services on one would do each other's work.
        self.env: dict[str, str] = {
            **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            "DATA_DIR": str(self.folder / "data"),
            "OUTBOUND_ALLOW_CIDRS": "127.0.0.0/8",
            "OUTBOUND_ALLOW_PORTS": ",".join(map(str, (80, 443, *origin_ports))),
            "WORKERS": "2",
            **(env or {}),
        }

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    def command(self) -> list[str]:
        return [*leash(), sys.executable, str(MANAGE), "up", f"{HOST}:{self.port}"]

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.address}/api/status/x", timeout=5).status_code == 404
        except requests.RequestException:
            return False

    def use_a_key(self, owner: str = "olga") -> str:
        """Make an API key, for a service that lets nobody in without one; all calls send it."""
        key = self.manage("apikey", "create", "test", "--owner", owner)
        self.headers = {"Authorization": f"Bearer {key}"}
        return key

    def manage(self, *command: str, **env: str) -> str:
        """What a management command says, run beside the service."""
        line = [sys.executable, str(MANAGE), *command]
        done = subprocess.run(line, env=self.env | env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def upload(self, csv: str | bytes, **fields: str) -> dict[str, Any]:
        """The answer of an upload, which must be accepted."""
        answer = requests.post(
            f"{self.address}/api/upload",
            files={"file": ("products.csv", csv, "text/csv")},
            data=fields,
            headers=self.headers,
            timeout=60,
        )
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def status(self, request_id: str, **query: str) -> dict[str, Any]:
        url = f"{self.address}/api/status/{request_id}"
        answer = requests.get(url, params=query, headers=self.headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def finish(self, request_id: str, seconds: float = 120.0, every: float = 0.2) -> dict[str, Any]:
        """The final status, with up to 500 products; asked for every so many seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            told = self.status(request_id, limit="1")
            if told["status"] in FINAL:
                return self.status(request_id, limit="500")
            time.sleep(every)
        raise AssertionError(f"not final after {seconds} s: {told}\n{self.log_tail()}")

    def get(self, url: str) -> requests.Response:
        answer = requests.get(url, headers=self.headers, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer
