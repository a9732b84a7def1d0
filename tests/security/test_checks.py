"""Unsafe settings stop the start, whichever door it comes through."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from imageproc.checks import check_settings

ROOT = Path(__file__).resolve().parents[2]
SAFE = {
    "SECRET_KEY": "Zm9yLXRlc3RzLW9ubHktYnV0LXdpdGgtbWFueS1kaWZmZXJlbnQtbGV0dGVycy0x",
    "ALLOWED_HOSTS": "images.example.com",
    "PUBLIC_URL": "https://images.example.com",
    "NUM_PROXIES": "1",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "S3_BUCKET": "images",
}


def manage(*command: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    base = {k: v for k, v in os.environ.items() if k in ("PATH", "ENV_FILE", "HOME")}
    return subprocess.run(
        [sys.executable, *command],
        env=base | {"DATA_DIR": str(folder)} | env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_production_is_clean_by_djangos_own_deploy_checks(tmp_path: Path) -> None:
    strict = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    done = manage(*strict, folder=tmp_path, **SAFE)
    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout


# What production has, in this process.
PRODUCTION: dict[str, Any] = {
    **{"PRODUCTION": True, "DEBUG": False, "API_ANONYMOUS": False, "HTTPS": True},
    **{"NUM_PROXIES": 1, "SECRET_KEY": SAFE["SECRET_KEY"], "S3_BUCKET": "images"},
    **{"ALLOWED_HOSTS": ["images.example.com"], "PUBLIC_URL": SAFE["PUBLIC_URL"]},
    "REDIS_URL": SAFE["REDIS_URL"],
}
HALF_A_KEY = {"default": {"OPTIONS": {"access_key": "a", "secret_key": None}}}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("E001", {"API_ANONYMOUS": True}),
    ("E002", {"DEBUG": True}),
    ("E003", {"SECRET_KEY": "short"}),
    ("E003", {"SECRET_KEY": "ab" * 40}),
    ("E004", {"ALLOWED_HOSTS": ["*"]}),
    ("E005", {"NUM_PROXIES": 0}),
    ("E006", {"S3_BUCKET": "", "S3_ENDPOINT_URL": "http://127.0.0.1:9"}),
    ("E007", {"STORAGES": HALF_A_KEY}),
    ("E008", {"LEASE_SECONDS": 1}),
    ("E010", {"FETCH_DEADLINE": 200.0}),
    ("E010", {"FETCH_DEADLINE": 0.0}),
    ("E011", {"OUTBOUND_ALLOW_CIDRS": ["10.0.0.1/8"]}),
    ("E012", {"OUTBOUND_ALLOW_PORTS": [80, 70000]}),
    ("E013", {"OUTBOUND_ALLOW_CIDRS": ["169.254.169.254/32"]}),
    ("E014", {"MAX_IMAGE_PIXELS": 0}),
    ("E015", {"NUM_PROXIES": -1}),
    ("E016", {"EMAIL_USE_TLS": True, "EMAIL_USE_SSL": True}),
    ("W001", {"HTTPS": False}),
    ("W002", {"OUTBOUND_ALLOW_CIDRS": ["169.254.0.0/16"]}),
    ("W003", {"REDIS_URL": ""}),
    ("W004", {"EMAIL_HOST": "mail.example.com"}),
]


@pytest.mark.parametrize(("code", "change"), [("", {}), *CASES])
def test_each_unsafe_setting_is_named(
    code: str, change: dict[str, Any], settings: Settings
) -> None:
    for name, value in (PRODUCTION | change).items():
        setattr(settings, name, value)
    found = [message.id for message in check_settings(None)]
    assert found == ([f"imageproc.{code}"] if code else [])


@pytest.mark.parametrize(
    "door", [("manage.py", "up"), ("manage.py", "worker"), ("-c", "import config.wsgi")]
)
def test_nothing_starts_with_them(door: tuple[str, ...], tmp_path: Path) -> None:
    done = manage(*door, folder=tmp_path, **(SAFE | {"ALLOWED_HOSTS": "*"}))
    assert done.returncode == 1
    assert "imageproc.E004" in done.stderr
    assert done.stdout == ""


def test_a_laptop_needs_no_setting(tmp_path: Path) -> None:
    done = manage("manage.py", "check", "--fail-level", "WARNING", folder=tmp_path)
    assert done.returncode == 0, done.stderr
