"""Objects on S3, by the client that django-storages sets up.

Straight PUTs (``direct``, then ``put_object``) and ``upload_part``: no look before the write (S3
replaces a whole object at once), no transfer manager for bodies of some kilobytes, and a
Content-MD5 on each, by which the server refuses a body that did not arrive as it was sent.
botocore then leaves out its own CRC, and over TLS the SHA-256 of the body as well.
"""

from __future__ import annotations

import copy
import hashlib
import io
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from imageproc.images.store.direct import DirectPut
from imageproc.images.store.stored import MismatchError, Stored, raising_store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, HeadObjectOutputTypeDef

# At most 10,000 parts of 5 MB or more: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
PART_BYTES = 8 * 1024 * 1024
# S3 deletes so many keys a call.
DELETE_BATCH = 1000
_MD5_ETAG = re.compile(r'"?([0-9a-f]{32})"?')


class S3Objects:
    """The object store over one bucket, with one client for all threads of this process.

    boto3's clients may be shared between threads, its resources may not, which is why the storage
    itself makes a connection a thread: 20 ms and 10 MB for each of a worker's many threads.
    """

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.bucket: str = storage.bucket_name
        # A copy has no connections yet: the original's may come from the process that forked us.
        self.client: S3Client = copy.copy(storage).connection.meta.client
        self._directly = DirectPut(self.client, self.bucket)

    def put(self, key: str, data: bytes, content_type: str, cache_control: str) -> Stored:
        md5 = _md5(data)
        if not self._directly(key, data, md5, content_type, cache_control):
            self._put_by_client(key, data, md5, content_type, cache_control)
        return Stored(key, len(data), hashlib.sha256(data).hexdigest())

    def _put_by_client(
        self, key: str, data: bytes, md5: bytes, content_type: str, cache_control: str
    ) -> None:
        answer = self.client.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=data,
            ContentMD5=b64encode(md5).decode(),
            ContentType=content_type,
            CacheControl=cache_control,
        )
        _check_etag(answer, md5)

    def put_stream(
        self, key: str, chunks: Iterable[bytes], content_type: str, cache_control: str
    ) -> Stored:
        parts = _parts(chunks)
        first = next(parts, b"")
        if len(first) < PART_BYTES:
            return self.put(key, first, content_type, cache_control)
        upload = self.client.create_multipart_upload(
            Bucket=self.bucket, Key=key, ContentType=content_type, CacheControl=cache_control
        )["UploadId"]
        try:
            return self._send_parts(key, upload, first, parts)
        except BaseException:
            self._abort(key, upload)
            raise

    def _send_parts(self, key: str, upload: str, part: bytes, rest: Iterator[bytes]) -> Stored:
        size, digest = 0, hashlib.sha256()
        sent: list[CompletedPartTypeDef] = []
        while part:
            number = len(sent) + 1
            etag = self._send_part(key, upload, number, part)
            sent.append({"PartNumber": number, "ETag": etag})
            digest.update(part)
            size += len(part)
            part = next(rest, b"")
        self.client.complete_multipart_upload(
            Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": sent}
        )
        if self.size(key) != size:
            raise MismatchError("size of a multipart object")
        return Stored(key, size, digest.hexdigest())

    def _send_part(self, key: str, upload: str, number: int, part: bytes) -> str:
        md5 = _md5(part)
        answer = self.client.upload_part(
            Bucket=self.bucket,
            Key=key,
            UploadId=upload,
            PartNumber=number,
            Body=part,
            ContentMD5=b64encode(md5).decode(),
        )
        _check_etag(answer, md5)
        return answer["ETag"]

    def _abort(self, key: str, upload: str) -> None:
        """Best effort: a server that is down keeps the parts for sweep_leftovers."""
        with suppress(BotoCoreError, ClientError):
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)

    def open_read(self, key: str) -> BinaryIO:
        head = self._head(key)
        if head is None:
            raise FileNotFoundError(key)
        return io.BufferedReader(_Blocks(self, key, head["ContentLength"], head["ETag"]))

    def read_range(self, key: str, start: int, length: int) -> bytes:
        try:
            return self.get_range(key, start, length)[0]
        except ClientError as error:
            if _status(error) == 416:  # it begins behind the end of the object
                return b""
            raise

    def get_range(self, key: str, start: int, length: int) -> tuple[bytes, str]:
        """The bytes and the ETag of the object that they come from."""
        if length <= 0:
            return b"", ""
        try:
            answer = self.client.get_object(
                Bucket=self.bucket, Key=key, Range=f"bytes={start}-{start + length - 1}"
            )
        except ClientError as error:
            if _status(error) == 404 and _code(error) != "NoSuchBucket":
                raise FileNotFoundError(key) from error
            raise
        with answer["Body"] as body:
            return body.read(), answer["ETag"]

    def size(self, key: str) -> int | None:
        head = self._head(key)
        return None if head is None else head["ContentLength"]

    def _head(self, key: str) -> HeadObjectOutputTypeDef | None:
        try:
            return self.client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if _status(error) == 404:
                return None
            raise

    def delete_many(self, keys: Iterable[str]) -> None:
        iterator = iter(keys)
        while batch := list(islice(iterator, DELETE_BATCH)):
            answer = self.client.delete_objects(
                Bucket=self.bucket,
                Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
            )
            for failed in answer.get("Errors", []):
                if failed.get("Code") != "NoSuchKey":
                    raise ClientError({"Error": {"Code": failed.get("Code", "?")}}, "DeleteObjects")

    def list_keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        for page in pages:
            for entry in page.get("Contents", []):
                yield entry["Key"], entry["Size"]

    def public_url(self, key: str) -> str | None:
        return str(self.storage.url(key)) if self.storage.custom_domain else None

    def probe(self) -> None:
        self.client.head_bucket(Bucket=self.bucket)

    def prepare(self) -> bool:
        try:
            self.client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NOT_FOUND:
                raise
            self.client.create_bucket(Bucket=self.bucket)
            return True
        return False

    def sweep_leftovers(self, older_than: float) -> int:
        limit = datetime.now(UTC) - timedelta(seconds=older_than)
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket)
        stale = [
            upload
            for page in pages
            for upload in page.get("Uploads", [])
            if upload["Initiated"] <= limit
        ]
        for upload in stale:
            self._abort(upload["Key"], upload["UploadId"])
        return len(stale)


class _Blocks(io.RawIOBase):
    """An object read by ranges, so that a slow reader holds no connection open.

    botocore retries a range that fails to start; the ETag shows a replaced object, of which
    otherwise one half would be joined to the other half of its successor.
    """

    def __init__(self, objects: S3Objects, key: str, size: int, etag: str) -> None:
        self._objects, self._key, self._size, self._etag = objects, key, size, etag
        self._position = 0
        self._block = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._block and self._position < self._size:
            self._block = memoryview(self._next())
        count = min(len(buffer), len(self._block))
        buffer[:count] = self._block[:count]
        self._block = self._block[count:]
        return count

    def _next(self) -> bytes:
        length = min(PART_BYTES, self._size - self._position)
        with raising_store_errors():
            data, etag = self._objects.get_range(self._key, self._position, length)
            if etag != self._etag or len(data) != length:
                raise MismatchError("the object changed while it was read")
        self._position += length
        return data


def _parts(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Chunks of any size as parts of PART_BYTES; only the last is shorter."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= PART_BYTES:
            yield bytes(memoryview(buffer)[:PART_BYTES])
            del buffer[:PART_BYTES]
    if buffer:
        yield bytes(buffer)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _check_etag(answer: Any, md5: bytes) -> None:
    """Compare where the ETag is an MD5: not with SSE-KMS or customer keys, where S3 says so."""
    etag = _MD5_ETAG.fullmatch(answer.get("ETag", ""))
    encrypted = "SSEKMSKeyId" in answer or "SSECustomerAlgorithm" in answer
    if etag and not encrypted and etag[1] != md5.hex():
        raise MismatchError("ETag")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
