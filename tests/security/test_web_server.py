"""The web server, with the settings that it ships with, under slow and malformed calls."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests

from tests.support.servers.process import HOST, Server, free_ports, leash

ROOT = Path(__file__).resolve().parents[2]
HALF_HEADER = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: "
HALF_FORM = (
    b"POST /sign-in/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nusername="
)
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


class WebServer(Server):
    """gunicorn with config/gunicorn.py, on the embedded default: SQLite, nobody signs in."""

    name = "web-server"

    def __init__(self) -> None:
        super().__init__()
        [self.port] = free_ports(1)
        environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        data = str(self.folder / "data")
        self.env = environ | {"DATA_DIR": data, "WEB_WORKERS": "2", "WEB_ACCESS_LOG": "-"}

    def command(self) -> list[str]:
        migrate = f"{sys.executable} manage.py migrate --verbosity 0"
        serve = f"{sys.executable} -m gunicorn --config python:config.gunicorn config.wsgi"
        start = f"cd {ROOT} && {migrate} && exec {serve} --bind {HOST}:{self.port}"
        return [*leash(), "sh", "-c", start]

    def is_ready(self) -> bool:
        try:
            return self.get("/healthz").ok
        except requests.RequestException:
            return False

    def get(self, path: str, **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.get(f"http://{HOST}:{self.port}{path}", headers=named, timeout=10)

    def connect(self, data: bytes) -> socket.socket:
        connection = socket.create_connection((HOST, self.port), timeout=10)
        connection.sendall(data)
        return connection


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    server = WebServer()
    server.start()
    yield server
    server.close()


@pytest.mark.parametrize("half", [HALF_HEADER, HALF_FORM], ids=["header", "form"])
def test_a_hundred_half_requests_hold_nobody_up(server: WebServer, half: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(server.connect(half))
        for _ in range(5):
            assert server.get("/healthz").status_code == 200


@pytest.mark.parametrize("half", [HALF_HEADER, HALF_FORM], ids=["header", "form"])
def test_a_request_that_never_ends_is_cut_off(server: WebServer, half: bytes) -> None:
    """Also one that sends a byte now and then: the deadline is for the whole of it."""
    started = time.monotonic()
    with server.connect(half) as connection, suppress(ConnectionError):
        while time.monotonic() < started + 20:
            connection.sendall(b"x")
            time.sleep(0.25)
    assert 4 < time.monotonic() - started < 15


def test_a_header_may_arrive_in_pieces(server: WebServer) -> None:
    with server.connect(b"") as connection:
        for at in range(0, len(WHOLE), 9):
            connection.sendall(WHOLE[at : at + 9])
            time.sleep(0.05)
        assert connection.recv(100).startswith(OK)


def test_two_requests_in_one_packet_are_both_answered(server: WebServer) -> None:
    with server.connect(WHOLE + WHOLE[:20]) as connection, connection.makefile("rb") as answers:
        assert answers.readline() == OK
        while answers.readline() != b"ok\n":
            pass
        connection.sendall(WHOLE[20:])
        assert answers.readline() == OK


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(server: WebServer) -> None:
    header = HALF_FORM.partition(b"\r\n\r\n")[0] + b"\r\nExpect: 100-continue\r\n\r\n"
    with server.connect(header) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n")


def test_a_header_without_measure_is_refused(server: WebServer) -> None:
    with server.connect(HALF_HEADER + b"x" * 70_000) as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("path", ["/", "/api/requests?x=1", "/nothing-here", "/admin/?q=%C3%BC"])
@pytest.mark.parametrize("charset", ["zip", "base64", "hex", "rot13", "undefined", "x" * 300])
def test_a_charset_that_is_none_is_refused(server: WebServer, path: str, charset: str) -> None:
    answer = server.get(path, Content_Type=f"text/plain; charset={charset}")
    assert answer.status_code == 415


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "utf-16", "punycode", "gbk", "cp037"])
def test_queries_are_utf_8_whatever_charset_the_body_has(server: WebServer, charset: str) -> None:
    answer = server.get("/api/requests?status=x%C3%BC", Content_Type=f"text/csv; charset={charset}")
    assert answer.status_code == 400
    assert "xü" in answer.text


@pytest.mark.parametrize("path", ["/requests/%00/", "/x/%00", "/api/requests?q=%00", "/admin/?%00"])
def test_a_nul_byte_is_refused(server: WebServer, path: str) -> None:
    assert server.get(path).status_code == 400


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:99999999", "127.0.0.1:x", "[::1", ""])
def test_a_host_that_is_not_ours_gets_no_debug_page(server: WebServer, host: str) -> None:
    answer = server.get("/", Host=host)
    assert answer.status_code == 400
    assert "DJANGO" not in answer.text.upper()
    assert "SETTINGS" not in answer.text.upper()


def test_no_log_holds_a_query(server: WebServer) -> None:
    secret = "tok-5up3rs3cr3t"
    for path in ("/", "/api/requests", "/nothing", f"/api/{secret}-not-a-query"):
        server.get(f"{path}?token={secret}", Referer=f"http://shop.example/?t={secret}")
        server.get(f"{path}?token={secret}", Content_Type="text/plain; charset=zip")
    log = server.log.read_text()
    assert "GET /nothing HTTP/1.1" in log
    assert f"/api/{secret}-not-a-query" in log
    assert log.replace(f"/api/{secret}-not-a-query", "").count(secret) == 0


def test_files_are_their_owners_alone(server: WebServer) -> None:
    """As they are made in an account with the usual umask of 022."""
    data = server.folder / "data"
    upload = {"file": ("x.csv", "S. No.,Product Name,Input Image Urls\n1,a,http://1.1.1.1/1.jpg\n")}
    answer = requests.post(f"http://{HOST}:{server.port}/api/upload", files=upload, timeout=30)
    assert answer.status_code == 202
    made = {path.name: oct(path.stat().st_mode)[-3:] for path in (data, *data.rglob("*"))}
    databases = {name: mode for name, mode in made.items() if name.startswith("imageproc.sqlite3")}
    assert databases["imageproc.sqlite3"] == "600"
    assert set(databases.values()) == {"600"}
    [stored] = (data / "files").rglob("*.csv*")
    assert oct(stored.stat().st_mode)[-3:] == "600"
    assert oct(stored.parent.stat().st_mode)[-3:] == "700"
    assert made["data"] == "700"
