"""The whole service on each of its two kinds of ground, and an origin beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.origin import Origin
from tests.support.servers.postgres import Postgres
from tests.support.servers.seaweed import Seaweed
from tests.support.servers.service import Service

PHOTOS = Path(__file__).resolve().parents[3] / "shared" / "photos"


@pytest.fixture
def photos() -> dict[str, bytes]:
    """Camera photographs where they are at hand, else drawn ones: name → file."""
    found = {path.name: path.read_bytes() for path in sorted(PHOTOS.glob("*.jpg"))}
    return found or {
        f"{seed:02}.jpg": pictures.turned(1 + seed % 8, seed, (2000, 1500)) for seed in range(1, 9)
    }


@pytest.fixture(scope="module")
def files_service(origin_server: Origin) -> Iterator[Service]:
    """On SQLite and files: what a laptop has."""
    yield from _running(Service(origin_server.port))


@pytest.fixture(scope="module")
def production_service(
    origin_server: Origin, _postgres: Postgres, _seaweed: Seaweed
) -> Iterator[Service]:
    """On PostgreSQL and S3."""
    _postgres.start()
    _seaweed.start()
    ground = {"DATABASE_URL": _postgres.migrated_database(), **_seaweed.new_bucket().environ}
    yield from _running(Service(origin_server.port, env=ground))


@pytest.fixture(params=["files_service", "production_service"])
def service(request: pytest.FixtureRequest) -> Service:
    """The service on each of its two kinds of ground."""
    found: Service = request.getfixturevalue(request.param)
    return found


def _running(service: Service) -> Iterator[Service]:
    service.start()
    yield service
    service.stop()
    service.close()
