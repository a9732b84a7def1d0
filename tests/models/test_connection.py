"""A connection is kept between two calls, and replaced when its server or session has ended."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import dj_database_url
import pytest
from django.conf import settings
from django.db.utils import ConnectionHandler

from tests.support.servers.postgres import Postgres

pytestmark = pytest.mark.django_db
KEPT = ("CONN_MAX_AGE", "CONN_HEALTH_CHECKS")


@pytest.fixture
def connection(postgres: Postgres) -> Iterator[Any]:
    """Kept and checked as the settings say."""
    config: Any = dj_database_url.parse(postgres.url())
    project = settings.DATABASES["default"]
    handler = ConnectionHandler({"default": config | {name: project[name] for name in KEPT}})
    yield handler["default"]
    handler["default"].close()


def call(connection: Any) -> int:
    """What an HTTP call does: Django's look at the connection, then queries. The session's id."""
    connection.close_if_unusable_or_obsolete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_calls_share_a_connection(connection: Any) -> None:
    assert len({call(connection) for _ in range(3)}) == 1


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL])
def test_a_restart_between_two_calls_is_not_noticed(
    connection: Any, postgres: Postgres, sig: signal.Signals
) -> None:
    call(connection)
    postgres.stop(sig)
    postgres.start()
    call(connection)


def test_a_session_that_the_server_ended_is_replaced(connection: Any, postgres: Postgres) -> None:
    before = call(connection)
    postgres.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    assert call(connection) != before
