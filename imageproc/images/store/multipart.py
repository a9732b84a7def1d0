"""Uploads an object of any length to S3 in parts: it becomes visible only as a whole.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from botocore.exceptions import BotoCoreError, ClientError

from imageproc.images.store.digests import Digests, headers_of
from imageproc.images.store.stored import Stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

# At most 10,000 parts of 5 MB or more: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
PART_BYTES = 8 * 1024 * 1024


class MultipartUpload:
    """One upload; an exception in its ``with`` block deletes what was sent. ``confirmed``: nothing
    in the responses contradicts the digests of the parts."""

    def __init__(
        self, client: S3Client, bucket: str, key: str, content_type: str, cache_control: str
    ) -> None:
        self._client, self._bucket, self._key = client, bucket, key
        self._id = client.create_multipart_upload(
            Bucket=bucket, Key=key, ContentType=content_type, CacheControl=cache_control
        )["UploadId"]
        self.confirmed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            abort(self._client, self._bucket, self._key, self._id)

    def send(self, parts: Iterable[bytes]) -> Stored:
        """Send all parts, and complete the upload."""
        size, digest = 0, hashlib.sha256()
        sent: list[CompletedPartTypeDef] = []
        for number, part in enumerate(parts, 1):
            sent.append({"PartNumber": number, "ETag": self._send_part(number, part)})
            digest.update(part)
            size += len(part)
        self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self._id,
            MultipartUpload={"Parts": sent},
        )
        return Stored(self._key, size, digest.hexdigest())

    def _send_part(self, number: int, part: bytes) -> str:
        """The part's ETag."""
        digests = Digests.of(part)
        answer = self._client.upload_part(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self._id,
            PartNumber=number,
            Body=part,
            ContentMD5=digests.content_md5,
        )
        self.confirmed &= digests.confirmed_by(headers_of(answer)) is not False
        return answer["ETag"]


def abort(client: S3Client, bucket: str, key: str, upload_id: str) -> None:
    """Delete the parts of an upload, if the server answers. While it is down they stay, for
    ``sweep_leftovers``."""
    with suppress(BotoCoreError, ClientError):
        client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)


def parts_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join chunks of any size into parts of PART_BYTES; only the last is shorter."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= PART_BYTES:
            yield bytes(memoryview(buffer)[:PART_BYTES])
            del buffer[:PART_BYTES]
    if buffer:
        yield bytes(buffer)
