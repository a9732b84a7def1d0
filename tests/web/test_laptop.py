"""`manage.py up` on a laptop may fetch its own sample; anywhere else nothing is opened."""

from __future__ import annotations

import os
import socket

import pytest
from pytest_django import Settings

from imageproc.management.commands import up

NAMES = ("OUTBOUND_ALLOW_CIDRS", "OUTBOUND_ALLOW_PORTS")


def opened(monkeypatch: pytest.MonkeyPatch, **given: str) -> list[str | None]:
    """What the children of `up` inherit, and the port it listens on."""
    for name in NAMES:
        monkeypatch.setenv(name, given.get(name, ""))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        up._open_to_itself(listener)
        port = str(listener.getsockname()[1])
    return [(os.environ[name] or None) and os.environ[name].replace(port, "OWN") for name in NAMES]


def test_a_laptop_opens_exactly_its_own_address(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.API_ANONYMOUS = True
    assert opened(monkeypatch) == ["127.0.0.1/32", "80,443,OWN"]


def test_what_the_operator_opened_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.API_ANONYMOUS = True
    assert opened(monkeypatch, OUTBOUND_ALLOW_PORTS="8080") == [None, "8080"]
    assert opened(monkeypatch, OUTBOUND_ALLOW_CIDRS="10.0.0.0/8") == ["10.0.0.0/8", None]


def test_where_people_sign_in_nothing_is_opened(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.API_ANONYMOUS = False
    assert opened(monkeypatch) == [None, None]
