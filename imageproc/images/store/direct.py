"""Sends a PUT or a HEAD at a third of the CPU that botocore's client takes, by public classes only.

``put_object`` takes 2.8 ms of CPU for a small body, three quarters of it in the client's events,
validation and parsing; signed by ``botocore.auth.S3SigV4Auth``, the class that AWS names for
requests of one's own, and sent over a pool of urllib3 it takes 1.0 (docs/adr/0004-speed.md). A HEAD
takes 0.7 instead of 2.6. The bucket's address is taken from a presigned URL. A request is tried
once; if it fails, the client sends it again, with its own retries and errors.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import boto3
import certifi
import urllib3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECTIONS = 64


class DirectRequests:
    """Sends signed requests to one bucket. May be called from all threads of a process."""

    def __init__(self, client: S3Client, bucket: str, credentials: Any) -> None:
        self._signer = Signer(client, bucket, credentials)
        url = urlsplit(self._signer.base)
        config: Any = client.meta.config
        trusted = {"ca_certs": os.environ.get("AWS_CA_BUNDLE") or certifi.where()}
        self._pool = urllib3.connection_from_url(
            f"{url.scheme}://{url.netloc}",
            maxsize=CONNECTIONS,
            timeout=urllib3.Timeout(config.connect_timeout, config.read_timeout),
            **trusted if url.scheme == "https" else {},
        )
        # Through a proxy of the environment only the client can send.
        proxied = url.scheme in getproxies() and not proxy_bypass(url.hostname or "")
        self._usable = self._signer.uses_sigv4 and not proxied

    def put(self, key: str, data: bytes, headers: dict[str, str]) -> Mapping[str, str] | None:
        """The headers of the server's 200, or None after any failure."""
        return self._send("PUT", key, data, headers)

    def head(self, key: str) -> Mapping[str, str] | None:
        """The headers of the server's 200, or None where it says anything else."""
        return self._send("HEAD", key, b"", {})

    def _send(
        self, method: str, key: str, data: bytes, headers: dict[str, str]
    ) -> Mapping[str, str] | None:
        if not self._usable:
            return None
        path, signed = self._signer.sign(method, key, data, headers)
        try:
            answer = self._pool.urlopen(method, path, data, signed, retries=False, redirect=False)
        except (HTTPError, OSError):
            return None
        return answer.headers if answer.status == HTTPStatus.OK else None


class Signer:
    """Signature Version 4 for requests to one bucket.

    Signs headers, not the URL: urllib3 checks every character of a URL, which takes 0.3 ms of CPU
    for a signed one. ``base``: the bucket's address, to which a key is added. ``uses_sigv4``:
    whether the client is configured for this signature; if not, it must send by itself.
    """

    def __init__(self, client: S3Client, bucket: str, credentials: Any) -> None:
        config: Any = client.meta.config
        self.uses_sigv4 = config.signature_version == "s3v4" and not bucket.startswith("arn:")
        self.base = _address(client, bucket)
        self._credentials = credentials
        self._region = client.meta.region_name

    def sign(
        self, method: str, key: str, data: bytes, headers: dict[str, str]
    ) -> tuple[str, dict[str, str]]:
        """The path to send ``data`` to, and the headers to send with it, which hold the SHA-256 of
        the body
        (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
        """
        url = self.base + quote(key, safe="/~")
        request = AWSRequest(method, url, headers=headers, data=data)
        # Read each time, because credentials of a role are replaced every few hours.
        frozen = self._credentials.get_frozen_credentials()
        S3SigV4Auth(frozen, "s3", self._region).add_auth(request)
        return urlsplit(url).path, dict(request.headers.items())


def credentials_of(storage: Any) -> Any:
    """The credentials of this S3Storage's client: keys of the settings, or the machine's role."""
    if storage.access_key and storage.secret_key:
        return Credentials(storage.access_key, storage.secret_key, storage.security_token)
    return boto3.Session(profile_name=storage.session_profile).get_credentials()


def _address(client: S3Client, bucket: str) -> str:
    signed = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "x"})
    return signed.partition("?")[0].removesuffix("x")
