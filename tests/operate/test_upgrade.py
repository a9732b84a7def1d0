"""A version that was killed with requests in hand is replaced by this one, which goes on."""

from __future__ import annotations

import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.checker import FINAL, Promise, judge
from tests.faults.ground import webhooks_at
from tests.operate.upgrade import RELEASED, fixed_origin
from tests.support.origin import Origin
from tests.support.servers.postgres import Postgres
from tests.support.servers.service import Service

# Moves every time of a database, so that what was written before the kill was written just now.
SINCE_THEN = """
DO $$
DECLARE
    since interval := now() - (SELECT max(lease_until) FROM imageproc_productimage);
    moved record;
BEGIN
    FOR moved IN
        SELECT table_name, string_agg(format('%1$I = %1$I + $1', column_name), ', ') AS changes
        FROM information_schema.columns
        WHERE table_schema = 'public' AND data_type = 'timestamp with time zone'
        GROUP BY table_name
    LOOP
        EXECUTE format('UPDATE %I SET ', moved.table_name) || moved.changes USING since;
    END LOOP;
END $$
"""


class Left:
    """What the version before left behind, unpacked."""

    def __init__(self, postgres: Postgres, folder: Path) -> None:
        with tarfile.open(RELEASED) as packed:
            packed.extractall(folder, filter="data")
        self.data = folder / "data"
        client = json.loads((folder / "client.json").read_text())
        self.promises = [Promise(*promise) for promise in client["promises"].items()]
        self.webhooks = [(message, body) for message, body in client["webhooks"]]
        self.url = postgres.new_database()
        with psycopg.connect(self.url) as connection:
            connection.execute((folder / "rows.sql").read_bytes())
            connection.execute("SET search_path TO public")
            connection.execute(SINCE_THEN.encode())

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql.encode(), values).fetchall()

    def counts(self, table: str) -> dict[str, int]:
        """How many rows are in each state."""
        return dict(self.query(f"SELECT status, count(*) FROM imageproc_{table} GROUP BY status"))

    def objects(self) -> dict[str, bytes]:
        root = self.data / "files"
        files = (path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture
def left(postgres: Postgres, tmp_path: Path) -> Left:
    return Left(postgres, tmp_path)


@pytest.fixture
def origin() -> Iterator[Origin]:
    with fixed_origin(late_hook=200) as origin:
        yield origin


@pytest.fixture
def service(left: Left, origin: Origin) -> Iterator[Service]:
    env = {"DATABASE_URL": left.url, "DATA_DIR": str(left.data), "LEASE_SECONDS": "6"}
    service = Service(origin.port, env=env | {"TICK_SECONDS": "0.5"})
    yield service
    service.close()


def test_requests_in_hand_go_on(left: Left, origin: Origin, service: Service) -> None:
    assert left.counts("processingrequest") == {"COMPLETED": 2, "PROCESSING": 1, "PENDING": 1}
    assert left.counts("webhookdelivery") == {"DELIVERED": 1, "PENDING": 1}
    assert left.counts("productimage")["PROCESSING"] > 0
    done = left.query("SELECT input_url FROM imageproc_productimage WHERE status='COMPLETED'")

    service.start()  # which migrates
    deadline = time.monotonic() + 120
    while set(left.counts("processingrequest")) - set(FINAL) or left.counts("webhookdelivery") != {
        "DELIVERED": 4
    }:
        assert time.monotonic() < deadline, service.log_tail()
        time.sleep(0.1)

    webhooks = [*left.webhooks, *webhooks_at(origin)]
    verdict = judge(left.promises, left.url, left.objects(), webhooks)
    assert verdict.clean, verdict
    assert left.counts("productimage") == {"COMPLETED": 92, "FAILED": 2}
    again = [url for (url,) in done if origin.hits[url.removeprefix(origin.url)]]
    assert again == [], "made before, and fetched again"
    service.stop()
