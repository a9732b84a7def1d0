"""The test process runs on the database it was told to, and on nothing of the developer's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests.settings import TEST_DATABASE

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.both_databases
@pytest.mark.django_db
def test_the_database_is_the_one_asked_for() -> None:
    vendors = {"sqlite": "sqlite", "postgres": "postgresql"}
    assert connection.vendor == vendors[TEST_DATABASE]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_migrations")
        assert cursor.fetchone()[0] > 0


def test_data_and_settings_are_the_tests_own() -> None:
    assert Path(settings.DATA_DIR).is_relative_to(Path(tempfile.gettempdir()).resolve())
    assert os.environ["ENV_FILE"] == os.devnull
    assert settings.S3_BUCKET == ""


def test_a_child_process_loads_the_projects_settings() -> None:
    """And starts no database of its own, as it would by the tests' settings."""
    script = "from django.conf import settings as s; print(s.SETTINGS_MODULE, s.DATA_DIR)"
    child = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert child.stdout.split() == ["config.settings", str(settings.DATA_DIR)]
