"""Logs as a machine reads them: one object a line, with ids, without secrets."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from logging.config import dictConfig
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.test import Client

from config.logs import HIDDEN, logging_config
from tests.workers.harness import MANAGE

KEY = "ip_Zm9vYmFyYmF6cXV4Zm9vYmFy"


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Log as in production; afterwards as before."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    config = logging_config(json=True, level="INFO")
    config["handlers"]["stderr"]["stream"] = written = io.StringIO()
    dictConfig(config)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    root.handlers[:], root.level = before
    for name in config["loggers"]:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_record_of_any_logger_is_one_object_with_its_ids(lines: Lines) -> None:
    image = UUID(int=7)
    logging.getLogger("imageproc.x").warning(
        "image %s", "overdue", extra={"image_id": image, "request_id": "r1", "request": object()}
    )
    (line,) = lines()
    stamp = line.pop("timestamp")
    assert stamp.endswith("Z")
    assert line == {
        "event": "image overdue",
        "level": "warning",
        "logger": "imageproc.x",
        "image_id": str(image),
        "request_id": "r1",
    }


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (
            "GET https://cdn.example/a.jpg?token=abc gone",
            f"GET https://cdn.example/a.jpg?{HIDDEN} gone",
        ),
        ("https://olga:pass@cdn.example/a.jpg", f"https://{HIDDEN}@cdn.example/a.jpg"),
        (f"key {KEY}", f"key {HIDDEN}"),
        ("whsec_AAAAAAAAAAAA/BBBBBBBB+CCC=", HIDDEN),
        ("postgresql://u:p@db:5432/x", f"postgresql://{HIDDEN}@db:5432/x"),
        ("really? yes", "really? yes"),
    ],
)
def test_secrets_and_queries_are_hidden(lines: Lines, said: str, written: str) -> None:
    logging.getLogger("any").warning(
        said, extra={"api_key": KEY, "deep": {"password": "x", "a": [said]}}
    )
    (line,) = lines()
    assert line["event"] == written
    assert line["api_key"] == HIDDEN
    assert line["deep"] == {"password": HIDDEN, "a": [written]}


def test_a_traceback_is_one_line_and_scrubbed_too(lines: Lines) -> None:
    try:
        int(f"https://cdn.example/?sig=1 {KEY}")
    except ValueError:
        logging.getLogger("any").exception("failed")
    (line,) = lines()
    assert f"https://cdn.example/?{HIDDEN}" in line["exception"]
    assert KEY not in json.dumps(line)


def test_the_queue_only_speaks_when_something_is_wrong(lines: Lines) -> None:
    logging.getLogger("django-q").info("Processed 'pump'")
    logging.getLogger("django-q").error("lost")
    assert [line["event"] for line in lines()] == ["lost"]


def test_a_response_is_one_line_without_its_query(lines: Lines, client: Client) -> None:
    client.get("/healthz?token=abc", HTTP_USER_AGENT="probe")
    (line,) = lines()
    assert (line["event"], line["request"], line["code"]) == (
        "request_finished",
        "GET /healthz",
        200,
    )
    assert UUID(str(line["http_request_id"]))
    assert "request_id" not in line


@pytest.mark.parametrize(("secret", "is_json"), [("x" * 50, True), ("", False)])
def test_production_writes_json(secret: str, is_json: bool, tmp_path: Path) -> None:
    code = "import logging; logging.getLogger('imageproc').warning('hello')"
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup(); {code}"],
        env={
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATA_DIR": str(tmp_path),
            "SECRET_KEY": secret,
            "ENV_FILE": "/dev/null",
        },
        cwd=MANAGE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.startswith("{") is is_json
    assert "hello" in done.stderr
