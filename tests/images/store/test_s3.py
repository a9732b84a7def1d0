"""S3: what the server really holds, and what its failures become."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any, ClassVar

import boto3
import pytest
from botocore.config import Config
from django.test import override_settings
from storages.backends.s3 import S3Storage

from imageproc.faults import STORAGE_FAILED, Fault
from imageproc.images import store
from imageproc.images.store import Stored
from imageproc.images.store.direct import DirectRequests, Signer, credentials_of
from tests.images.store.conftest import Answer, StubS3, s3_storages
from tests.support.servers.process import HOST, free_ports
from tests.support.servers.rclone import Rclone
from tests.support.servers.s3 import Bucket

MB = 1024 * 1024
DIGEST = hashlib.sha256(b"picture").hexdigest()


def test_headers_of_the_object(on_seaweed: Bucket) -> None:
    store.put("r1/a.webp", b"1", "image/webp")
    store.put_stream("r1/output.csv", [b"1"], "text/csv; charset=utf-8")
    store.put_stream("r1/big.csv", [b"x" * MB] * 9, "text/csv")
    client = on_seaweed.client()
    head = client.head_object(Bucket=on_seaweed.name, Key="r1/a.webp")
    assert (head["ContentType"], head["CacheControl"]) == ("image/webp", store.IMMUTABLE)
    head = client.head_object(Bucket=on_seaweed.name, Key="r1/output.csv")
    assert (head["ContentType"], head["CacheControl"]) == ("text/csv; charset=utf-8", store.PRIVATE)
    head = client.head_object(Bucket=on_seaweed.name, Key="r1/big.csv")
    assert (head["ContentType"], head["CacheControl"]) == ("text/csv", store.PRIVATE)
    assert head["ContentLength"] == 9 * MB


def test_small_puts_and_sizes_go_past_the_clients_machinery(on_seaweed: Bucket) -> None:
    sent = _sent_by_the_client()
    assert isinstance(store.put("r1/a", b"1" * 20_000, "image/jpeg"), Stored)
    assert store.size("r1/a") == 20_000
    assert sent == []
    assert store.size("r1/b") is None
    assert len(sent) == 2  # a 404 does not say whether the object or its bucket is missing


def test_a_small_put_is_one_request(stub: StubS3) -> None:
    stub.will(200, b"picture")
    assert isinstance(store.put("r1/ü chair.jpg", b"picture", "image/jpeg"), Stored)
    [[path, headers, body]] = stub.puts
    assert path == "/b/r1/%C3%BC%20chair.jpg"
    assert headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=")
    assert headers["Content-MD5"] == "VFb8VMdKKXzplJmMKHOzcA=="
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Cache-Control"] == store.IMMUTABLE
    assert body == b"picture"


def test_a_put_is_signed_as_the_client_signs(on_seaweed: Bucket) -> None:
    """Within one second of the clock both signatures are the same, character by character."""
    client, key = _objects().client, "r1/ü chair~+.jpg"
    headers = {
        "Content-MD5": "xMpCOKC5I4INzFCab3WEmw==",
        "Content-Type": "image/jpeg",
        "Cache-Control": store.IMMUTABLE,
        "x-amz-checksum-sha256": "a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s=",
    }
    signer = Signer(client, on_seaweed.name, credentials())
    theirs: list[bytes] = []
    client.meta.events.register(
        "before-send.s3", lambda request, **_: theirs.append(request.headers["Authorization"])
    )

    def both() -> tuple[str, str]:
        _, ours = signer.sign("PUT", key, b"1", headers)
        client.put_object(
            Bucket=on_seaweed.name,
            Key=key,
            Body=b"1",
            ContentMD5=headers["Content-MD5"],
            ContentType=headers["Content-Type"],
            CacheControl=headers["Cache-Control"],
            ChecksumSHA256=headers["x-amz-checksum-sha256"],
        )
        return ours["Authorization"], theirs[-1].decode()

    assert signer.uses_sigv4
    pairs = [both() for _ in range(3)]
    assert any(ours == theirs for ours, theirs in pairs), pairs[0]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_body_is_signed(scheme: str) -> None:
    with override_settings(STORAGES=s3_storages(Bucket("b", f"{scheme}://{HOST}:1"))):
        signer = Signer(_objects().client, "b", credentials())
    path, sent = signer.sign("PUT", "r1/a", b"picture", {"Content-MD5": "x"})
    assert path == "/b/r1/a"
    assert sent["X-Amz-Content-SHA256"] == DIGEST


def test_a_client_that_signs_in_another_way_is_left_alone(stub: StubS3) -> None:
    older = boto3.client(
        "s3",
        endpoint_url=stub.bucket.endpoint,
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(signature_version="s3"),
    )
    assert DirectRequests(older, "b", credentials()).put("r1/a", b"1", {}) is None
    assert stub.puts == []


@pytest.mark.parametrize("first", [503, 403, 307, 0])
def test_the_client_tries_what_did_not_go_well(stub: StubS3, first: int) -> None:
    stub.will(first, b"picture")
    stub.will(200, b"picture")
    assert isinstance(store.put("r1/a", b"picture", "image/jpeg"), Stored)
    assert [body for _, _, body in stub.puts] == [b"picture", b"picture"]
    assert "amz-sdk-request" not in stub.puts[0][1]
    assert "amz-sdk-request" in stub.puts[1][1]


CHECKSUM = b64encode(bytes.fromhex(DIGEST)).decode()
OTHER = b64encode(bytes(32)).decode()
KMS = "x-amz-server-side-encryption"


@pytest.mark.parametrize(
    ("headers", "calls"),
    [
        # The server's checksum settles it, whatever its ETag is.
        ({"x-amz-checksum-sha256": CHECKSUM}, ["PUT"]),
        # An ETag that is said to be no MD5: the 200 is all there is, after a Content-MD5.
        ({KMS: "aws:kms"}, ["PUT"]),
        ({KMS: "aws:kms:dsse"}, ["PUT"]),
        ({f"{KMS}-aws-kms-key-id": "arn:aws:kms:eu-west-1:1:key/1"}, ["PUT"]),
        ({f"{KMS}-customer-algorithm": "AES256"}, ["PUT"]),
        ({"ETag": '"0123-2"'}, ["PUT"]),
        ({"ETag": ""}, ["PUT"]),
        # Nothing is said: what it holds is read.
        ({}, ["PUT", "HEAD", "GET"]),
    ],
)
def test_an_object_is_put_once_whatever_its_etag_is(
    stub: StubS3, headers: dict[str, str], calls: list[str]
) -> None:
    stub.will(200, b"nothing of that kind", **headers)
    held = {"ETag": '"e"', "Content-Length": "7"}
    stub.plan("HEAD", Answer(200, held))
    stub.plan("GET", Answer(206, held, b"picture"))
    assert store.put("r1/a", b"picture", "image/jpeg") == Stored("r1/a", 7, DIGEST)
    assert stub.methods == calls
    assert stub.puts[0][1]["x-amz-checksum-sha256"] == CHECKSUM


@pytest.mark.parametrize("headers", [{}, {"x-amz-checksum-sha256": OTHER}])
def test_a_server_that_kept_something_else_is_found_out(
    stub: StubS3, headers: dict[str, str]
) -> None:
    stub.will(200, b"Picture", **headers)
    held = {"ETag": '"e"', "Content-Length": "7"}
    stub.plan("HEAD", Answer(200, held))
    stub.plan("GET", Answer(206, held, b"Picture"))
    assert store.put("r1/a", b"picture", "image/jpeg") == STORAGE_FAILED.because(
        "mismatch: the server holds other bytes than were sent"
    )
    assert stub.methods == ["PUT", "HEAD", "GET"]


INTERNAL_ERROR = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>InternalError</Code><Message>We encountered an internal error.</Message></Error>"""
STARTED = (
    b"""<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"""
)


def test_an_error_within_the_200_of_a_multipart_upload_is_noticed(stub: StubS3) -> None:
    stub.plan("POST", Answer(200, {}, STARTED), Answer(200, {}, INTERNAL_ERROR))
    stub.will(200, b"x" * (8 * MB))
    stub.will(200, b"x" * MB)
    fault = store.put_stream("r1/output.csv", [b"x" * MB] * 9, "text/csv")
    assert fault == STORAGE_FAILED.because("CompleteMultipartUpload: InternalError")
    assert stub.methods == ["POST", "PUT", "PUT", "POST", "DELETE"]


def test_an_error_within_the_200_of_a_deletion_is_noticed(stub: StubS3) -> None:
    one = "<Error><Key>{}</Key><Code>{}</Code><Message>m</Message></Error>"
    gone, kept = one.format("r1/a", "NoSuchKey"), one.format("r1/b", "AccessDenied")
    stub.plan("POST", Answer(200, {}, f"<DeleteResult>{gone}</DeleteResult>".encode()))
    store.delete_many(["r1/a"])
    stub.plan("POST", Answer(200, {}, f"<DeleteResult>{gone}{kept}</DeleteResult>".encode()))
    with pytest.raises(store.StoreError) as caught:
        store.delete_many(["r1/a", "r1/b"])
    assert caught.value.fault == STORAGE_FAILED.because("DeleteObjects: AccessDenied")


def test_a_proxy_of_the_environment_is_left_to_the_client(
    stub: StubS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = f"http://{HOST}:{free_ports(1)[0]}"
    monkeypatch.setenv("http_proxy", nobody)
    monkeypatch.delenv("no_proxy", raising=False)
    refused = STORAGE_FAILED.because("ProxyConnectionError")
    assert store.put("r1/a", b"1", "image/jpeg") == refused
    assert stub.puts == []


def test_bytes_damaged_on_the_way_are_refused(
    on_seaweed: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the Content-MD5 can tell, because the damaged body is what was signed."""
    send, answers = DirectRequests.put, []

    def damaged(self: DirectRequests, key: str, data: bytes, headers: dict[str, str]) -> Any:
        answers.append(send(self, key, b"Picture", headers))
        return answers[-1]

    monkeypatch.setattr(DirectRequests, "put", damaged)
    assert isinstance(store.put("r1/a", b"picture", "image/jpeg"), Stored)
    assert answers == [None]
    assert store.read_range("r1/a", 0, 9) == b"picture"  # the client's


def test_bytes_damaged_on_the_clients_way_are_refused(
    on_seaweed: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged before the signature, so that only the Content-MD5 can tell."""
    monkeypatch.setattr(DirectRequests, "put", lambda *_: None)

    def damage(request: Any, **_: Any) -> None:
        request.data = b"Picture"

    _objects().client.meta.events.register("before-sign.s3.PutObject", damage)
    assert store.put("r1/a", b"picture", "image/jpeg") == STORAGE_FAILED.because(
        "PutObject: BadDigest"
    )
    assert store.size("r1/a") is None


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"secret_key": "wrong"}, "SignatureDoesNotMatch"),
        ({"access_key": "nobody"}, "InvalidAccessKeyId"),
        ({"bucket_name": "no-such-bucket"}, "NoSuchBucket"),
    ],
)
def test_a_wrong_setting_is_transient(bucket: Bucket, options: dict[str, str], code: str) -> None:
    """An operator can mend it while the rows wait; nothing is lost to a typing error."""
    with override_settings(STORAGES=s3_storages(bucket, **options)):
        fault = store.put("r1/a", b"1", "image/jpeg")
        assert fault == STORAGE_FAILED.because(f"PutObject: {code}")
        assert isinstance(fault, Fault)
        assert fault.permanent is False
        stream = store.put_stream("r1/a", [b"x" * MB] * 9, "text/csv")
        assert stream == STORAGE_FAILED.because(f"CreateMultipartUpload: {code}")
        assert store.probe() is not None


READS: dict[str, Callable[[], object]] = {
    "open": lambda: store.open_read("r1/a"),
    "range": lambda: store.read_range("r1/a", 0, 10),
    "size": lambda: store.size("r1/a"),
    "list": lambda: list(store.list_keys("r1/")),
    "delete": lambda: store.delete_many(["r1/a"]),
    "delete what is listed": lambda: store.delete_many(key for key, _ in store.list_keys("r1/")),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("server", ["seaweed", "rclone"])
def test_a_bucket_that_is_missing_is_an_outage(
    server: str, read: str, request: pytest.FixtureRequest
) -> None:
    bucket = request.getfixturevalue(server).new_bucket()
    with override_settings(STORAGES=s3_storages(bucket)):
        store.put("r1/a", b"1", "image/jpeg")
        client = bucket.client()
        client.delete_object(Bucket=bucket.name, Key="r1/a")
        client.delete_bucket(Bucket=bucket.name)
        with pytest.raises(store.StoreError) as caught:
            READS[read]()
        assert caught.value.fault.detail.endswith("NoSuchBucket")
        assert not caught.value.fault.permanent
        assert store.probe() == STORAGE_FAILED.because("HeadBucket: NoSuchBucket")
        with pytest.raises(store.StoreError):
            store.prepare(create=False)
        assert store.prepare(create=True)
        assert store.size("r1/a") is None  # a bucket that answers: the key is lost


@pytest.mark.parametrize("body", [b"", b"<html>404</html>", INTERNAL_ERROR])
def test_a_404_that_is_not_the_bucket_s_word_is_an_outage(stub: StubS3, body: bytes) -> None:
    """A proxy, or a server that is not S3 at all."""
    stub.plan("GET", Answer(404, {}, body))
    for read in ("open", "range", "size"):
        with pytest.raises(store.StoreError):
            READS[read]()


def test_nobody_listens() -> None:
    nowhere = Bucket("b", f"http://{HOST}:{free_ports(1)[0]}")
    with override_settings(STORAGES=s3_storages(nowhere)):
        refused = STORAGE_FAILED.because("EndpointConnectionError")
        assert store.put("r1/a", b"1", "image/jpeg") == refused
        assert store.put_stream("r1/a", [b"1"], "text/csv") == refused
        assert store.probe() == refused
        with pytest.raises(store.StoreError) as caught:
            store.size("r1/a")
        assert caught.value.fault == refused
        with pytest.raises(store.StoreError):
            store.delete_many(["r1/a"])


def test_a_server_that_dies_and_comes_back(on_rclone: Rclone) -> None:
    assert isinstance(store.put("r1/before", b"1", "image/jpeg"), Stored)
    on_rclone.kill()
    fault = store.put("r1/during", b"1", "image/jpeg")
    assert isinstance(fault, Fault)
    assert (fault.code, fault.permanent) == ("storage_failed", False)
    on_rclone.start()
    assert isinstance(store.put("r1/after", b"1", "image/jpeg"), Stored)
    assert list(store.list_keys("r1/")) == [("r1/after", 1), ("r1/before", 1)]


def test_a_server_that_dies_within_a_stream(on_rclone: Rclone) -> None:
    def chunks() -> Any:
        yield b"x" * (9 * MB)
        on_rclone.kill()
        yield b"x" * (9 * MB)

    fault = store.put_stream("r1/output.csv", chunks(), "text/csv")
    assert isinstance(fault, Fault)
    assert fault.code == "storage_failed"
    on_rclone.start()
    assert store.size("r1/output.csv") is None
    whole = store.put_stream("r1/output.csv", [b"x" * (9 * MB)] * 2, "text/csv")
    assert isinstance(whole, Stored)
    assert store.size("r1/output.csv") == 18 * MB


def test_an_object_replaced_while_it_is_read_is_an_error(on_seaweed: Bucket) -> None:
    store.put_stream("r1/input.csv", [b"a" * MB] * 17, "text/csv")
    with store.open_read("r1/input.csv") as file:
        assert file.read(10) == b"a" * 10
        store.put_stream("r1/input.csv", [b"b" * MB] * 17, "text/csv")
        with pytest.raises(store.StoreError, match="changed while it was read"):
            file.read()


def test_reading_survives_a_restart_of_the_server(on_rclone: Rclone) -> None:
    data = os.urandom(17 * MB)
    store.put_stream("r1/input.csv", [data], "text/csv")
    with store.open_read("r1/input.csv") as file:
        head = file.read(MB)
        on_rclone.kill()
        on_rclone.start()
        assert head + file.read() == data


def test_more_than_a_thousand_keys_are_listed_and_deleted(on_seaweed: Bucket) -> None:
    def fill(part: int) -> None:
        for number in range(part, 1050, 16):
            assert isinstance(store.put(f"r1/{number:04}", b"1", "image/jpeg"), Stored)

    threads = [threading.Thread(target=fill, args=(part,)) for part in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.put("r2/kept", b"1", "image/jpeg")
    assert [key for key, _ in store.list_keys("r1/")] == [f"r1/{n:04}" for n in range(1050)]
    store.delete_many(key for key, _ in store.list_keys("r1/"))
    assert list(store.list_keys("")) == [("r2/kept", 1)]


def test_an_abandoned_upload_is_swept(on_seaweed: Bucket) -> None:
    client = on_seaweed.client()
    upload = client.create_multipart_upload(Bucket=on_seaweed.name, Key="r1/x")["UploadId"]
    client.upload_part(
        Bucket=on_seaweed.name, Key="r1/x", UploadId=upload, PartNumber=1, Body=b"half"
    )
    assert store.size("r1/x") is None
    assert store.sweep_leftovers(older_than=3600) == 0
    assert store.sweep_leftovers(older_than=-3600) == 1
    assert client.list_multipart_uploads(Bucket=on_seaweed.name).get("Uploads", []) == []


class CountedStorage(S3Storage):  # type: ignore[misc]
    made: ClassVar[int] = 0

    def __init__(self, **options: Any) -> None:
        CountedStorage.made += 1
        time.sleep(0.05)  # the other threads come meanwhile
        super().__init__(**options)


def test_all_threads_share_one_client(bucket: Bucket) -> None:
    """Also those that ask at the same moment, before there is one."""
    store._forget()  # as in a new process
    clients: list[Any] = []
    together = threading.Barrier(32)

    def ask() -> None:
        together.wait(10)
        clients.append(_objects().client)

    storages = s3_storages(bucket)
    storages["default"]["BACKEND"] = f"{__name__}.CountedStorage"
    with override_settings(STORAGES=storages):
        threads = [threading.Thread(target=ask) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(clients) == 32
        assert {id(client) for client in clients} == {id(_objects().client)}
    assert CountedStorage.made == 1


def test_the_address_on_the_cdn(bucket: Bucket) -> None:
    with override_settings(STORAGES=s3_storages(bucket, custom_domain="cdn.example.com")):
        expected = "https://cdn.example.com/r1/%C3%BC%20chair%231.jpg"
        assert store.public_url("r1/ü chair#1.jpg") == expected
    with override_settings(STORAGES=s3_storages(bucket)):
        assert store.public_url("r1/a.jpg") is None


def credentials() -> Any:
    return credentials_of(store._objects().storage)


def _objects() -> Any:
    return store._objects()


def _sent_by_the_client() -> list[str]:
    sent: list[str] = []
    events = _objects().client.meta.events
    events.register("before-send.s3", lambda request, **_: sent.append(request.url))
    return sent
