"""Three worker hosts, one of which loses its network mid-way and comes back late."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.faults.ledger import SEED
from tests.operate.fleet import LEASE_SECONDS, Fleet, Host
from tests.support.origin import Origin
from tests.support.servers.postgres import Postgres
from tests.support.servers.s3 import Bucket


@pytest.fixture
def fleet(postgres: Postgres, bucket: Bucket, origin: Origin) -> Iterator[Fleet]:
    fleet = Fleet(postgres.migrated_database(), bucket, origin)
    yield fleet
    fleet.close()


def cut_inside_a_transaction(fleet: Fleet) -> Host:
    """Cut the host whose worker is about to commit: it holds the locks of its images, of their
    request, and of the minute, all of which the others need.

    It is caught at a lock of our own on the minutes; once cut off, it gets that, and keeps all.
    """
    with psycopg.connect(fleet.url) as gate:
        gate.execute("LOCK TABLE imageproc_minutetally IN SHARE MODE")
        [[title]] = fleet.until(
            lambda: fleet.query(
                "SELECT application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND query LIKE 'INSERT INTO %%minutetally%%'"
            )
        )
        host = next(host for host in fleet.hosts if host.title == title)
        host.cut()
    fleet.until(
        lambda: fleet.query(
            "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
            " AND state = 'idle in transaction' AND query LIKE 'INSERT INTO %%minutetally%%'",
            title,
        )
    )
    return host


def test_a_host_without_network_holds_nobody_and_changes_nothing_after(fleet: Fleet) -> None:
    first = fleet.upload(200)
    fleet.start()
    fleet.until(lambda: fleet.done(first) > 0, 180)  # three trees start on a busy machine
    lost = cut_inside_a_transaction(fleet)
    others = [host for host in fleet.hosts if host is not lost]
    assert fleet.done(first) < 200
    fleet.until(lambda: fleet.done(first) == 200)
    before = fleet.images()
    [[mended_at]] = fleet.query("SELECT now()")
    lost.mend()
    fleet.wait_for_workers(of=[lost], after=mended_at)
    for host in others:
        host.cut()
    second = fleet.upload(8)  # nobody else is left to ingest and process it
    fleet.until(lambda: fleet.done(second) == 8)
    for host in others:
        host.mend()
    verdict = fleet.finish()
    assert verdict.clean, verdict.notes
    ids = {row[0] for row in before}
    assert [row for row in fleet.images() if row[0] in ids] == before


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_hosts_come_and_go(fleet: Fleet) -> None:
    """Any of the three at any moment, for longer than a lease or shorter; never all of them."""
    dice = random.Random(SEED)
    request_id = fleet.upload(3000)
    fleet.start()
    fleet.wait_for_workers(of=fleet.hosts)
    fleet.until(lambda: fleet.done(request_id) > 0)
    cuts = 0
    while fleet.done(request_id) < 3000:
        host = dice.choice(fleet.hosts)
        host.cut()
        time.sleep(dice.uniform(0.2, 2.5 * LEASE_SECONDS))
        host.mend()
        cuts += 1
        time.sleep(dice.uniform(0.2, 1.0))
    assert cuts > 3
    verdict = fleet.finish()
    assert verdict.clean, verdict.notes
