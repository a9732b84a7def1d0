"""`manage.py up`: the whole service in one process tree."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.workers.harness import KILL, TERM, Tree, run, wait_for

Make = Callable[..., Tree]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/admin/login/", timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.mark.parametrize("number", [TERM, KILL])
def test_it_serves_works_and_leaves_nothing_behind(tree: Make, number: int) -> None:
    port = free_port()
    up = tree("up", f"127.0.0.1:{port}").start()
    wait_for(lambda: answers(port), 60)
    up.runs_a_task()
    # up, gunicorn, two web workers, two clusters of seven, one of which may still be starting.
    wait_for(lambda: len(up.processes()) >= 18, 60)
    up.signal(number)
    assert up.wait() == (0 if number == TERM else -KILL)
    wait_for(lambda: not up.processes(), 2)
    assert up.log.read_text().count("imageproc.W003") == 1  # five processes have these settings
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_taken_port_is_said_before_anything_starts(tree: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = run("up", f"127.0.0.1:{port}", env=tree().env)
    assert done.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("0.0.0.0:8000", "API_ANONYMOUS"),
        ("[::]:8000", "API_ANONYMOUS"),
        ("example.org:8000", "API_ANONYMOUS"),
        ("8000", "is not HOST:PORT"),
        ("localhost", "is not HOST:PORT"),
        ("a b:c", "is not HOST:PORT"),
    ],
)
def test_an_address_that_is_refused_before_anything_starts(
    settings: Any, address: str, reason: str
) -> None:
    settings.API_ANONYMOUS = True
    with pytest.raises(CommandError, match=reason) as refused:
        call_command("up", address)
    assert refused.value.returncode == 2


@pytest.mark.faults
def test_a_child_that_never_starts_ends_the_whole(tree: Make) -> None:
    up = tree("up", f"127.0.0.1:{free_port()}", WEB_WORKERS="0.5").start()
    assert up.wait(120) == 1
    assert up.processes() == []
    assert "web server ended (1) 6 times in a row, giving up" in up.log.read_text()


DOWN = "postgresql://postgres@127.0.0.1:1/none"


@pytest.mark.parametrize("command", ["up", "prepare"])
def test_a_database_that_is_away_is_said_in_one_sentence(tree: Make, command: str) -> None:
    address = [f"127.0.0.1:{free_port()}"] if command == "up" else []
    done = run(command, *address, env=tree(DATABASE_URL=DOWN).env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("CommandError: The database does not answer: ")
    assert line.endswith(" Start it, or set DATABASE_URL to where it is.")


def test_workers_wait_for_a_database_that_is_away(tree: Make) -> None:
    """They start, say why nothing happens, and go on when it is there; they stop when asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    away = f"postgresql://postgres@127.0.0.1:{port}/none"
    workers = tree("worker", DATABASE_URL=away).start(14)
    wait_for(lambda: "The queue cannot be read, trying again" in workers.log.read_text())
    wait_for(lambda: "heartbeat failed 1 times in a row: connection" in workers.log.read_text())
    assert "Traceback" not in workers.log.read_text()
    workers.signal(TERM)
    assert workers.wait() == 0
    assert workers.processes() == []


@pytest.mark.parametrize("name", ["", "images"], ids=["plain", "named"])
def test_qcluster_works_as_with_django_q2(tree: Make, name: str) -> None:
    """With Q_CLUSTER_NAME or --name that cluster alone, otherwise both."""
    cluster = tree("qcluster", *(("--name", name) if name else ())).start(7 if name else 14)
    cluster.runs_a_task()
    assert bool(cluster.named("control.")) is not bool(name)
    cluster.signal(TERM)
    assert cluster.wait() == 0
    assert cluster.processes() == []
