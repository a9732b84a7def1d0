"""No answer makes the client raise, nor take more than it may."""

from __future__ import annotations

import gzip
import logging
import random
from collections import Counter

import pytest

from imageproc.faults import CATALOGUE, Fault
from imageproc.images.fetch import Answer, Limits, Policy, get, post
from imageproc.images.fetch.download import Body, fetch
from tests.support.origin import PICTURE, Origin

OK = b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\n"
SEEDS = [
    OK + b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n" % len(PICTURE) + PICTURE,
    OK + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nGIF89\r\n2\r\naa\r\n0\r\nX: y\r\n\r\n",
    OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(PICTURE, mtime=0),
    OK + b"Content-Encoding: br, zstd, deflate\r\n\r\n" + PICTURE,
    b"HTTP/1.0 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\n\r\nGIF",
    b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: /\xe9?x=\xff\r\nSet-Cookie: a=b; Expires=Mon\r\n\r\n",
    b"HTTP/1.1 503 No\r\nRetry-After: Mon, 01 Jan 2030 00:00:00 GMT\r\n\r\nx",
    b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nGI",
]
PIECES = [
    *(b"\r\n", b"\r", b"\n", b"\0", b" ", b":", b"\t", b"-", b"-1", b"-5", b"\xff\xfe", b";", b","),
    *(
        b"9" * 30,
        b"f" * 20,
        b"0x10",
        b"+5",
        b"1_0",
        b"HTTP/1.1 ",
        b"100 ",
        b"%",
        b"//",
        b"http://[",
    ),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: -5\r\n"),
    *(
        b"Location: http://[::1\r\n",
        b"Retry-After: 9999999999 00:00:00 GMT\r\n",
        b"Set-Cookie: =\r\n",
    ),
    *(
        b"Content-Encoding: gzip, br\r\n",
        b"Connection: close\r\n",
        "ü€\u2028".encode(),
        b"x" * 5000,
    ),
]


def edited(rng: random.Random) -> bytes:
    """One of SEEDS with up to six changes; or noise."""
    if rng.random() < 0.05:
        return rng.randbytes(rng.randrange(300))
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        until = at + rng.choice([0, 0, 1, 1, 5, 40])
        put = rng.choice([b"", rng.randbytes(1), rng.choice(PIECES), bytes(data[at : at + 30])])
        data[at:until] = put
    return bytes(data)


def run(origin: Origin, policy: Policy, seed: int, count: int) -> Counter[str]:
    rng, seen = random.Random(seed), Counter[str]()
    limits = Limits(max_bytes=5000, seconds=1)
    for number in range(count):
        data = edited(rng)
        origin.raw(f"/{number}", data, closes=True)
        url = f"{origin.url}/{number}"
        results = [fetch(url, limits, policy), get(url, limits, policy)]
        results.append(post(url, b"{}", {}, 1, policy))
        for result in results:
            assert isinstance(result, Body | Answer | Fault), data
            if isinstance(result, Fault):
                assert result.code in CATALOGUE
            elif isinstance(result, Answer):
                assert result.retry_after is None or 0 <= result.retry_after <= 3600
            seen[result.code if isinstance(result, Fault) else type(result).__name__] += 1
    return seen


def test_edited_answers(origin: Origin, policy: Policy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    seen = run(origin, policy, 7, 300)
    assert seen["Body"] > 30
    assert seen["fetch_interrupted"] > 30
    assert seen["host_error"] > 30


@pytest.mark.faults
def test_three_thousand_edited_answers(origin: Origin, policy: Policy) -> None:
    assert run(origin, policy, 8, 3000).total() == 9000
