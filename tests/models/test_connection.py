"""A kept connection is asked for its health no more often than need be, and never trusted dead."""

from __future__ import annotations

import signal

import dj_database_url
import pytest
from django.db.utils import ConnectionHandler

from config.postgres import base
from tests.support.servers.postgres import Postgres

pytestmark = pytest.mark.django_db


class Kept(base.DatabaseWrapper):
    """Counts how often the server is asked."""

    asked = 0

    def is_usable(self) -> bool:
        self.asked += 1
        return super().is_usable()

    def call(self) -> None:
        """What an HTTP call does: Django's look at the connection, then queries."""
        self.close_if_unusable_or_obsolete()
        for _ in range(2):
            with self.cursor() as cursor:
                cursor.execute("SELECT 1")


@pytest.fixture
def kept(postgres: Postgres) -> Kept:
    settings = dj_database_url.parse(postgres.url(), conn_max_age=600, conn_health_checks=True)
    handler = ConnectionHandler({"default": settings | {"ENGINE": "config.postgres"}})
    return Kept(handler.settings["default"])


def test_many_calls_ask_once(kept: Kept) -> None:
    for _ in range(5):
        kept.call()
    assert kept.asked == 1


def test_what_is_silent_for_long_is_asked_again(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "ASK_SECONDS", 0.0)
    for _ in range(5):
        kept.call()
    assert kept.asked == 4  # a connection that was just made is not


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL])
def test_a_restart_between_two_calls_is_not_noticed(
    kept: Kept, postgres: Postgres, sig: signal.Signals
) -> None:
    for _ in range(3):
        kept.call()
    postgres.stop(sig)
    postgres.start()
    kept.call()
    assert kept.asked == 2


def test_a_session_that_the_server_ended_is_replaced(kept: Kept, postgres: Postgres) -> None:
    for _ in range(2):
        kept.call()
    postgres.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    kept.call()
