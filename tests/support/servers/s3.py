"""What every S3 server of the tests offers: buckets behind keys that are really checked."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.servers.process import HOST, Server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCESS_KEY = "imageproc-tests"
SECRET_KEY = "not-a-secret-only-for-loopback"


@dataclass(frozen=True)
class Bucket:
    """One bucket and how to reach it."""

    name: str
    endpoint: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY

    @property
    def environ(self) -> dict[str, str]:
        """The settings by which the service uses this bucket."""
        return {
            "S3_BUCKET": self.name,
            "S3_ENDPOINT_URL": self.endpoint,
            "S3_ACCESS_KEY_ID": self.access_key,
            "S3_SECRET_ACCESS_KEY": self.secret_key,
        }

    def client(self) -> S3Client:
        """A plain client beside the service's own, to look at what was really stored."""
        return client(self.endpoint, self.access_key, self.secret_key)

    def objects(self) -> dict[str, bytes]:
        """Everything stored: key → bytes. What the service deletes meanwhile is left out."""
        seen = self.client()
        stored: dict[str, bytes] = {}
        for page in seen.get_paginator("list_objects_v2").paginate(Bucket=self.name):
            for found in page.get("Contents", []):
                with suppress(seen.exceptions.NoSuchKey):
                    answer = seen.get_object(Bucket=self.name, Key=found["Key"])
                    stored[found["Key"]] = answer["Body"].read()
        return stored


def client(endpoint: str, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            connect_timeout=2,
            read_timeout=10,
        ),
    )


class S3Server(Server):
    """``port`` is set by the subclass."""

    port: int

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    def is_ready(self) -> bool:
        try:
            client(self.endpoint).list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True

    def new_bucket(self) -> Bucket:
        """A new empty bucket."""
        bucket = Bucket(f"test-{secrets.token_hex(6)}", self.endpoint)
        bucket.client().create_bucket(Bucket=bucket.name)
        return bucket
