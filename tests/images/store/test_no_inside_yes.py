"""S3 says no within a yes: each answer of a deletion, a multipart upload and a listing is read."""

from __future__ import annotations

import hashlib

import pytest

from imageproc.faults import STORAGE_FAILED
from imageproc.images import store
from tests.images.store.conftest import Answer, StubS3

MB = 1024 * 1024
PART = 8 * MB
ERROR = "<Error><Key>{}</Key><Code>{}</Code><Message>m</Message></Error>"
STARTED = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
WHOLE = b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"


def deleted(*errors: tuple[str, str]) -> Answer:
    inner = "".join(ERROR.format(*error) for error in errors)
    return Answer(200, {}, f"<DeleteResult>{inner}</DeleteResult>".encode())


@pytest.mark.parametrize("code", ["InternalError", "AccessDenied", "SlowDown", "NoSuchBucket"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_key_of_a_batch_that_stayed(stub: StubS3, code: str, place: int) -> None:
    """Wherever it stands among keys that were gone already."""
    errors = [(f"r1/{n}", "NoSuchKey") for n in range(3)]
    errors[place] = (f"r1/{place}", code)
    stub.plan("POST", deleted(*errors))
    with pytest.raises(store.StoreError) as caught:
        store.delete_many([f"r1/{n}" for n in range(3)])
    assert caught.value.fault == STORAGE_FAILED.because(f"DeleteObjects: {code}")


@pytest.mark.parametrize(
    ("keys", "batches"), [(0, []), (1, [1]), (1000, [1000]), (1001, [1000, 1]), (2000, [1000] * 2)]
)
def test_a_thousand_keys_a_call(stub: StubS3, keys: int, batches: list[int]) -> None:
    stub.plan("POST", *[deleted()] * len(batches))
    store.delete_many(f"r1/{n:04}" for n in range(keys))
    bodies = [body.decode() for method, _, _, body in stub.calls if method == "POST"]
    assert [body.count("<Key>") for body in bodies] == batches
    assert all(f"<Key>r1/{n:04}</Key>" in "".join(bodies) for n in range(keys))


def test_a_no_in_the_second_batch(stub: StubS3) -> None:
    stub.plan("POST", deleted(), deleted(("r1/1000", "AccessDenied")))
    with pytest.raises(store.StoreError):
        store.delete_many(f"r1/{n:04}" for n in range(1001))
    assert stub.methods == ["POST", "POST"]


# --- Multipart uploads ----------------------------------------------------------------------------
BODY = b"a" * PART + b"b" * MB


def two_parts(stub: StubS3, first: bytes = b"a" * PART, second: bytes = b"b" * MB) -> None:
    """The server takes two parts, and holds these."""
    stub.plan("POST", Answer(200, {}, STARTED), Answer(200, {}, WHOLE))
    stub.will(200, first)
    stub.will(200, second)


def holds(stub: StubS3, data: bytes, size: int | None = None) -> None:
    """HEAD, then GET by ranges of a part, answer with these bytes."""
    length = len(data) if size is None else size
    head = {"ETag": '"e-2"', "Content-Length": str(length)}
    stub.plan("HEAD", *[Answer(200, head)] * 2)
    for start in range(0, len(data), PART):
        block = data[start : start + PART]
        stub.plan("GET", Answer(206, {"ETag": '"e-2"'}, block))


def put_stream() -> object:
    return store.put_stream("r1/big.csv", [BODY[:MB], BODY[MB:]], "text/csv")


STORED = store.Stored("r1/big.csv", len(BODY), hashlib.sha256(BODY).hexdigest())


def test_parts_that_were_kept_as_they_were_sent(stub: StubS3) -> None:
    two_parts(stub)
    holds(stub, b"", len(BODY))
    assert put_stream() == STORED
    assert stub.methods == ["POST", "PUT", "PUT", "POST", "HEAD"]
    assert [body for _, _, body in stub.puts] == [b"a" * PART, b"b" * MB]


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_part_whose_answer_names_other_bytes_is_read_back(stub: StubS3, which: str) -> None:
    two_parts(stub, **{which: b"something else"})
    holds(stub, BODY)
    assert put_stream() == STORED
    assert stub.methods == ["POST", "PUT", "PUT", "POST", "HEAD", "HEAD", "GET", "GET"]


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_part_that_is_other_bytes_is_found_out(stub: StubS3, which: str) -> None:
    two_parts(stub, **{which: b"something else"})
    holds(stub, b"A" + BODY[1:] if which == "first" else BODY[:-1] + b"B")
    detail = "mismatch: the server holds other bytes than were sent"
    assert put_stream() == STORAGE_FAILED.because(detail)
    assert stub.methods[-1] == "DELETE"


@pytest.mark.parametrize("size", [0, len(BODY) - 1, len(BODY) + 1])
def test_an_object_of_another_size_is_found_out(stub: StubS3, size: int) -> None:
    two_parts(stub)
    holds(stub, b"", size)
    assert put_stream() == STORAGE_FAILED.because("mismatch: size of a multipart object")


def test_an_upload_that_says_whole_and_is_not_there(stub: StubS3) -> None:
    """Every answer was a 200, and then there is no object: the bucket answers, the key is lost."""
    two_parts(stub)
    stub.plan("HEAD", Answer(404), Answer(200))
    assert put_stream() == STORAGE_FAILED.because("mismatch: size of a multipart object")


@pytest.mark.parametrize("part", [1, 2])
def test_a_part_that_is_refused_ends_the_upload(stub: StubS3, part: int) -> None:
    stub.plan("POST", Answer(200, {}, STARTED))
    if part == 2:
        stub.will(200, b"a" * PART)
    refused = ERROR.format("k", "SlowDown").encode()
    stub.plan("PUT", Answer(503, {}, refused))
    assert put_stream() == STORAGE_FAILED.because("UploadPart: SlowDown")
    assert stub.methods == ["POST", *["PUT"] * part, "DELETE"]


@pytest.mark.parametrize(
    ("size", "parts"), [(PART - 1, []), (PART, [PART]), (PART + 1, [PART, 1]), (0, [])]
)
def test_from_which_size_an_object_goes_in_parts(stub: StubS3, size: int, parts: list[int]) -> None:
    data = b"x" * size
    stub.plan("POST", Answer(200, {}, STARTED), Answer(200, {}, WHOLE))
    for length in parts or [size]:
        stub.will(200, b"x" * length)
    holds(stub, b"", size)
    stored = store.put_stream("r1/a", [data], "text/csv")
    assert stored == store.Stored("r1/a", size, hashlib.sha256(data).hexdigest())
    assert [len(body) for _, _, body in stub.puts] == (parts or [size])
    assert ("POST" in stub.methods) is bool(parts)
