"""The three kinds of storage, each as the service's own default storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from django.test import override_settings

from tests.servers.rclone import Rclone
from tests.servers.s3 import Bucket
from tests.servers.seaweed import Seaweed


def s3_storages(bucket: Bucket, **options: Any) -> dict[str, Any]:
    """STORAGES as config/settings.py makes it, with quick time-outs."""
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        connect_timeout=1,
        read_timeout=5,
        retries={"total_max_attempts": 1},
        max_pool_connections=64,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    defaults = {
        "bucket_name": bucket.name,
        "endpoint_url": bucket.endpoint,
        "region_name": "us-east-1",
        "access_key": bucket.access_key,
        "secret_key": bucket.secret_key,
        "client_config": config,
    }
    return {"default": {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": defaults | options}}


def file_storages(folder: Path) -> dict[str, Any]:
    backend = "imageproc.pipeline.store.AtomicFileStorage"
    return {"default": {"BACKEND": backend, "OPTIONS": {"location": str(folder)}}}


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Path]:
    """The store on files; the folder it uses."""
    with override_settings(STORAGES=file_storages(tmp_path / "files")):
        yield tmp_path / "files"


@pytest.fixture
def on_seaweed(bucket: Bucket) -> Iterator[Bucket]:
    with override_settings(STORAGES=s3_storages(bucket)):
        yield bucket


@pytest.fixture
def on_rclone(rclone: Rclone) -> Iterator[Rclone]:
    bucket = rclone.new_bucket()
    with override_settings(STORAGES=s3_storages(bucket)):
        yield rclone


@pytest.fixture(params=["files", "seaweed", "rclone"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The store on each kind of storage in turn."""
    kind: str = request.param
    if kind == "files":
        storages = file_storages(tmp_path / "files")
    else:
        server: Seaweed | Rclone = request.getfixturevalue(kind)
        storages = s3_storages(server.new_bucket())
    with override_settings(STORAGES=storages):
        yield kind
