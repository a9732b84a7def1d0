"""Stores objects on S3 with the client that django-storages sets up.

An object goes out in one PUT (``direct``, then ``put_object``) or in parts (``multipart``). Nothing
is read before the write, because S3 replaces a whole object at once, and boto3's transfer manager
is not used for bodies of some kilobytes. Each PUT has a Content-MD5, by which the server refuses a
body that did not arrive as it was sent; its response is checked too (``digests``). botocore then
leaves out its own CRC.

A missing bucket is an outage, not a missing key: only a bucket that responds can lack a key.
"""

from __future__ import annotations

import copy
import hashlib
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import ClientError

from imageproc.images.store.digests import Digests, headers_of
from imageproc.images.store.direct import DirectRequests, credentials_of
from imageproc.images.store.multipart import PART_BYTES, MultipartUpload, abort, parts_of
from imageproc.images.store.stored import MismatchError, Stored, raising_store_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

# The most keys that S3 deletes per call.
DELETE_BATCH = 1000


class S3Objects:
    """The object store over one bucket, with one client for all threads of this process.

    boto3's clients may be shared between threads, its resources may not, which is why the storage
    itself creates a connection per thread: 20 ms and 10 MB for each of a worker's many threads.
    """

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.bucket: str = storage.bucket_name
        # A copy has no connections yet: the original's may come from the process that forked us.
        self.client: S3Client = copy.copy(storage).connection.meta.client
        self._direct = DirectRequests(self.client, self.bucket, credentials_of(storage))

    def put(self, key: str, data: bytes, content_type: str, cache_control: str) -> Stored:
        digests = Digests.of(data)
        headers = {
            "Content-MD5": digests.content_md5,
            "Content-Type": content_type,
            "Cache-Control": cache_control,
            "x-amz-checksum-sha256": digests.checksum,
        }
        answer = self._direct.put(key, data, headers)
        if answer is None:
            answer = headers_of(
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=key,
                    Body=data,
                    ContentMD5=digests.content_md5,
                    ContentType=content_type,
                    CacheControl=cache_control,
                    ChecksumSHA256=digests.checksum,
                )
            )
        stored = Stored(key, len(data), digests.sha256.hex())
        if digests.confirmed_by(answer) is False:
            self._read_back(stored)
        return stored

    def _read_back(self, stored: Stored) -> None:
        """Compare the stored bytes, because a server may use another kind of ETag without saying
        so."""
        digest = hashlib.sha256()
        with self.open_read(stored.key) as stream:
            while block := stream.read(PART_BYTES):
                digest.update(block)
        if digest.hexdigest() != stored.sha256:
            raise MismatchError("the server holds other bytes than were sent")

    def put_stream(
        self, key: str, chunks: Iterable[bytes], content_type: str, cache_control: str
    ) -> Stored:
        parts = parts_of(chunks)
        first = next(parts, b"")
        if len(first) < PART_BYTES:
            return self.put(key, first, content_type, cache_control)
        with MultipartUpload(self.client, self.bucket, key, content_type, cache_control) as upload:
            stored = upload.send(chain([first], parts))
            if self.size(key) != stored.size:
                raise MismatchError("size of a multipart object")
            if not upload.confirmed:
                self._read_back(stored)
        return stored

    def open_read(self, key: str) -> BinaryIO:
        head = self._head(key)
        if head is None:
            raise FileNotFoundError(key)
        return io.BufferedReader(_Blocks(self, key, head["ContentLength"], head["ETag"]))

    def read_range(self, key: str, start: int, length: int) -> bytes:
        try:
            return self.get_range(key, start, length)[0]
        except ClientError as error:
            if _status(error) != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            return b""  # the range starts behind the end of the object

    def get_range(self, key: str, start: int, length: int) -> tuple[bytes, str]:
        """The bytes and the object's ETag."""
        if length <= 0:
            return b"", ""
        try:
            answer = self.client.get_object(
                Bucket=self.bucket, Key=key, Range=f"bytes={start}-{start + length - 1}"
            )
        except ClientError as error:
            if _status(error) != HTTPStatus.NOT_FOUND:
                raise
            self._require_bucket()
            raise FileNotFoundError(key) from error
        with answer["Body"] as body:
            return body.read(), answer["ETag"]

    def size(self, key: str) -> int | None:
        found = self._direct.head(key)
        if found is not None and "Content-Length" in found:
            return int(found["Content-Length"])
        head = self._head(key)
        return None if head is None else head["ContentLength"]

    def _head(self, key: str) -> HeadObjectOutputTypeDef | None:
        try:
            return self.client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if _status(error) != HTTPStatus.NOT_FOUND:
                raise
        self._require_bucket()
        return None

    def _require_bucket(self) -> None:
        """Raise unless the bucket exists. After a 404 for a key this must be checked: a HEAD has no
        body that tells a missing key from a missing bucket, and some servers' GET neither."""
        try:
            self.client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if _status(error) != HTTPStatus.NOT_FOUND:
                raise
            raise ClientError({"Error": {"Code": "NoSuchBucket"}}, "HeadBucket") from error

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
        self._require_bucket()

    def prepare(self, *, create: bool) -> bool:
        try:
            self._require_bucket()
        except ClientError as error:
            if not create or _code(error) != "NoSuchBucket":
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
            abort(self.client, self.bucket, upload["Key"], upload["UploadId"])
        return len(stale)


class _Blocks(io.RawIOBase):
    """Reads an object in ranges, so that a slow reader holds no connection open.

    botocore retries a range that fails at its start. The ETag is compared for each range, because
    an object that was replaced meanwhile would be read half old, half new.
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


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
