"""Digests of what is sent to S3, and what its answer says of what it holds."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_MD5_ETAG = re.compile(r'"?([0-9a-f]{32})"?')
# With these an ETag is no MD5: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
_ENCRYPTED = (
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
)


@dataclass(frozen=True, slots=True)
class Digests:
    """Of the bytes of one PUT. S3 refuses a body that does not match its Content-MD5, so an answer
    of 200 alone says that the bytes arrived; the rest of the answer may say it once more."""

    md5: bytes
    sha256: bytes

    @classmethod
    def of(cls, data: bytes) -> Digests:
        md5 = hashlib.md5(data, usedforsecurity=False).digest()
        return cls(md5, hashlib.sha256(data).digest())

    @property
    def content_md5(self) -> str:
        """The header Content-MD5 (RFC 1864)."""
        return b64encode(self.md5).decode()

    @property
    def checksum(self) -> str:
        """The header x-amz-checksum-sha256."""
        return b64encode(self.sha256).decode()

    def confirmed_by(self, headers: Mapping[str, str]) -> bool | None:
        """Whether the server says that it holds these bytes; None where it does not say.

        ``headers``: of the answer to the PUT, found by lower-case names.
        """
        if checksum := headers.get("x-amz-checksum-sha256"):
            return checksum == self.checksum
        etag = _MD5_ETAG.fullmatch(headers.get("etag", ""))
        kms = headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
        if etag is None or kms or any(name in headers for name in _ENCRYPTED):
            return None
        return etag[1] == self.md5.hex()


def headers_of(answer: Any) -> dict[str, str]:
    """The headers of a response that boto3 has parsed, with lower-case names."""
    return dict(answer["ResponseMetadata"]["HTTPHeaders"])
