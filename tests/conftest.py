"""The real servers as fixtures. Each starts when the first test asks for it, once a session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from imageproc.images import store
from imageproc.images.watch import watch
from tests.support.servers.postgres import Postgres
from tests.support.servers.rclone import Rclone
from tests.support.servers.redis import BINARY as REDIS_BINARY
from tests.support.servers.redis import Redis
from tests.support.servers.s3 import Bucket
from tests.support.servers.seaweed import Seaweed

pytest_plugins = ["tests.faults.ledger", "tests.support.origin"]

CI = bool(os.environ.get("CI"))


# Folders whose tests start whole services and wait for them.
LONG = ("e2e", "operate", "workers", "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first: side by side (``pytest -n``), the short ones fill up the end."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(scope="session", autouse=True)
def _storage_folder() -> None:
    """The storage of the test process, as `manage.py prepare` makes it."""
    store.prepare(create=True)


@pytest.fixture(autouse=True)
def _strange_hosts() -> None:
    """No test has met the hosts of another."""
    watch.forget()


def missing(reason: str) -> None:
    """Skip on a developer's machine, fail in CI: there nothing may be left out silently."""
    if CI:
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def _postgres() -> Iterator[Postgres]:
    server = Postgres(durable=True)
    yield server
    server.close()


@pytest.fixture
def postgres(_postgres: Postgres) -> Postgres:
    """A PostgreSQL apart from the test process's own: it may be stopped, killed, restarted."""
    _postgres.start()
    return _postgres


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    """A new PostgreSQL database with the project's tables, for child processes."""
    return postgres.migrated_database()


@pytest.fixture(scope="session")
def _seaweed() -> Iterator[Seaweed]:
    server = Seaweed()
    yield server
    server.close()


@pytest.fixture
def seaweed(_seaweed: Seaweed) -> Seaweed:
    """SeaweedFS; takes seconds to come back, so tests that kill a server use ``rclone``."""
    _seaweed.start()
    return _seaweed


@pytest.fixture
def bucket(seaweed: Seaweed) -> Bucket:
    """A new bucket on SeaweedFS."""
    return seaweed.new_bucket()


@pytest.fixture(scope="session")
def _rclone() -> Iterator[Rclone]:
    server = Rclone()
    yield server
    server.close()


@pytest.fixture
def rclone(_rclone: Rclone) -> Rclone:
    """An S3 server that may be stopped, killed, restarted: back in 0.3 s."""
    _rclone.start()
    return _rclone


@pytest.fixture(scope="session")
def _redis() -> Iterator[Redis]:
    if REDIS_BINARY is None:
        missing("redis-server is not installed: run tests/support/servers/install-system-packages")
    server = Redis()
    yield server
    server.close()


@pytest.fixture
def redis_server(_redis: Redis) -> Redis:
    """A Redis that may be stopped, killed, restarted."""
    _redis.start()
    return _redis
