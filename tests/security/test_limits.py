"""Quotas of calls, of work in hand, and of bytes."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from django.core.cache import cache
from django.db import connection
from django.db.models.functions import Now
from django.test import Client, RequestFactory
from pytest_django import Settings

from imageproc import callers, intake
from imageproc.api.throttles import Window
from imageproc.models import ProcessingRequest
from tests.security.conftest import with_key
from tests.settings import TEST_DATABASE
from tests.support import build
from tests.support.servers.redis import Redis

CSV = b"S. No.,Product Name,Input Image Urls\n1,Shoe,http://8.8.8.8/a.jpg\n"


def from_address(chain: str, peer: str = "10.0.0.1") -> str:
    headers = {"X-Forwarded-For": chain} if chain else {}
    return callers.address_of(RequestFactory(headers=headers).get("/", REMOTE_ADDR=peer))


@pytest.mark.parametrize(
    ("proxies", "chain", "address"),
    [
        (0, "203.0.113.9", "10.0.0.1"),
        (1, "", "10.0.0.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "1.1.1.1, 2.2.2.2, 198.51.100.7", "198.51.100.7"),
        (2, "1.1.1.1, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        (2, "198.51.100.7", "198.51.100.7"),
        (1, "198.51.100.7:4711", "198.51.100.7"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (1, "[2001:db8:1:2::9]:443", "2001:db8:1:2::"),
        (1, "no address", "10.0.0.1"),
    ],
)
def test_the_address_behind_proxies(
    proxies: int, chain: str, address: str, settings: Settings
) -> None:
    settings.NUM_PROXIES = proxies
    assert from_address(chain) == address


@pytest.mark.django_db
def test_a_forged_header_is_no_new_quota(settings: Settings) -> None:
    settings.NUM_PROXIES, settings.CALLS_PER_MINUTE_ADDRESS = 1, 5
    codes = [
        Client().get("/api/nothing", headers={"X-Forwarded-For": f"9.9.9.{n}, 198.51.100.7"})
        for n in range(6)
    ]
    assert [answer.status_code for answer in codes] == [404] * 5 + [429]
    assert codes[-1].json()["code"] == "throttled"
    assert 0 < int(codes[-1]["Retry-After"]) <= 61
    other = Client().get("/api/nothing", headers={"X-Forwarded-For": "9.9.9.0, 198.51.100.8"})
    assert other.status_code == 404


@pytest.mark.django_db
def test_each_key_has_a_quota_of_its_own(settings: Settings) -> None:
    settings.CALLS_PER_MINUTE_KEY = 3
    olga, paul = with_key("olga"), with_key("paul")
    settings.API_ANONYMOUS = False
    assert [olga.get("/api/requests").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert paul.get("/api/requests").status_code == 200


@pytest.mark.django_db
def test_uploads_have_a_quota_of_their_own_dry_runs_too(settings: Settings) -> None:
    settings.UPLOADS_PER_MINUTE_KEY, settings.API_ANONYMOUS = 2, False
    olga = with_key("olga")
    codes = [
        olga.post("/api/upload?dryRun=true", CSV, content_type="text/csv").status_code
        for _ in range(3)
    ]
    assert codes == [200, 200, 429]
    assert olga.get("/api/requests").status_code == 200


@pytest.mark.django_db
def test_guessing_keys_ends(settings: Settings) -> None:
    settings.WRONG_KEYS_PER_MINUTE, settings.API_ANONYMOUS = 3, False
    guess = Client(headers={"authorization": "Bearer ip_guess"})
    assert [guess.get("/api/requests").status_code for _ in range(4)] == [401, 401, 401, 429]
    assert with_key("olga").get("/api/requests").status_code == 200


def test_calls_at_the_same_time_are_each_counted(settings: Settings) -> None:
    window = Window("test")
    with ThreadPoolExecutor(20) as pool:
        waits = list(pool.map(lambda _: window.allow("olga", 50), range(200)))
    assert waits.count(0.0) == 50


def test_an_absent_cache_lets_in(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(Window, "_count", broken)
    assert Window("test").allow("olga", 1) == 0.0


# --- Work in hand ------------------------------------------------------------------------------
def upload(owner_id: int) -> intake.Upload:
    return intake.Upload(owner_id, io.BytesIO(CSV), "a.csv", "http://testserver")


@pytest.mark.django_db
def test_an_owner_with_too_much_in_hand_waits(settings: Settings) -> None:
    settings.MAX_OPEN_REQUESTS, settings.API_ANONYMOUS = 2, False
    olga = with_key("olga")
    codes = [olga.post("/api/upload", CSV, content_type="text/csv") for _ in range(3)]
    assert [answer.status_code for answer in codes] == [202, 202, 429]
    assert codes[-1].json()["code"] == "quota_exceeded"
    assert codes[-1]["Retry-After"] == "30"
    assert with_key("paul").post("/api/upload", CSV, content_type="text/csv").status_code == 202
    ProcessingRequest.objects.filter(owner=build.owner("olga")).update(
        status="CANCELLED", completed_at=Now()
    )
    assert olga.post("/api/upload", CSV, content_type="text/csv").status_code == 202


@pytest.mark.django_db
def test_images_in_hand_count(settings: Settings) -> None:
    settings.MAX_PENDING_IMAGES = 10
    owner = build.owner("olga")
    running = build.request(owner=owner, total_images=10, ingested_products=1, total_products=1)
    with pytest.raises(intake.Refused) as refused:
        intake.accept(upload(owner.pk))
    assert (refused.value.status, refused.value.code) == (429, "quota_exceeded")
    ProcessingRequest.objects.filter(id=running.id).update(failed_images=1)
    intake.accept(upload(owner.pk))


@pytest.mark.skipif(
    TEST_DATABASE == "sqlite", reason="the tests' in-memory SQLite takes one thread at a time"
)
@pytest.mark.django_db(transaction=True)
def test_fifty_uploads_at_once_do_not_slip_past(settings: Settings) -> None:
    settings.MAX_OPEN_REQUESTS = 5
    owner_id = build.owner("olga").pk

    def one(_: int) -> int:
        try:
            intake.accept(upload(owner_id))
        except intake.Refused as refused:
            return refused.status
        finally:
            connection.close()
        return 202

    with ThreadPoolExecutor(10) as pool:
        codes = list(pool.map(one, range(50)))
    assert (codes.count(202), codes.count(429)) == (5, 45)
    assert ProcessingRequest.objects.open().count() == 5


# --- Bytes -------------------------------------------------------------------------------------
class Unread(io.BytesIO):
    def read(self, *_: object) -> bytes:
        raise AssertionError("the body was read")


def long_body(path: str, length: int, content_type: str = "text/csv") -> tuple[int, str]:
    environ: dict[str, Any] = {"CONTENT_LENGTH": str(length), "wsgi.input": Unread()}
    answer = Client().generic("POST", path, b"", content_type=content_type, **environ)
    kind = answer["Content-Type"].partition(";")[0]
    return answer.status_code, kind


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/upload", "/upload", "/csv/upload"])
def test_a_too_long_upload_is_refused_unread(path: str, settings: Settings) -> None:
    settings.MAX_UPLOAD_BYTES = 10_000_000
    length = 10_000_000 + settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1
    assert long_body(path, length) == (413, "application/problem+json")
    form = "multipart/form-data; boundary=x"
    assert long_body(path, length, form) == (413, "application/problem+json")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/sign-in/", "/keys/", "/", "/inspect/"])
def test_a_stranger_cannot_fill_the_disk(path: str, settings: Settings) -> None:
    """A page's form is read before the page asks who sent it."""
    settings.API_ANONYMOUS = False
    form = "multipart/form-data; boundary=x"
    assert long_body(path, 3_000_000, form) == (413, "text/html")


@pytest.mark.django_db
def test_a_body_without_a_length(settings: Settings) -> None:
    answer = Client().generic(
        "POST", "/api/upload", b"", content_type="text/csv",
        headers={"Transfer-Encoding": "chunked"}, CONTENT_LENGTH="",
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [{f"f{n}": "x" for n in range(1001)}, {"preset": "x" * 3_000_000}],
    ids=["many", "long"],
)
def test_a_form_has_few_and_short_fields(fields: dict[str, str]) -> None:
    answer = Client().post("/api/upload", fields)
    assert (answer.status_code, answer.json()["code"]) == (413, "form_too_large")


@pytest.fixture
def shared_cache(settings: Settings, redis_server: Redis) -> Redis:
    """The cache of several web processes: Redis, as ``REDIS_URL`` sets it."""
    options = {"socket_connect_timeout": 1, "socket_timeout": 2}
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {
        **settings.CACHES,
        "default": {"BACKEND": backend, "LOCATION": redis_server.url, "OPTIONS": options},
    }
    return redis_server


def test_web_processes_count_together_in_redis(shared_cache: Redis) -> None:
    """Each thread has a connection of its own, as each process has."""
    cache.clear()
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: Window("shared").allow("olga", 20), range(60)))
    assert sum(wait == 0 for wait in waits) == 20
    assert all(0 < wait <= 60 for wait in waits if wait)
    assert Window("shared").allow("paul", 20) == 0


def test_calls_counted_in_redis_are_forgotten(shared_cache: Redis) -> None:
    cache.clear()
    Window("short").allow("olga", 20)
    with redis.Redis.from_url(shared_cache.url) as server:
        lives = [server.ttl(key) for key in server.scan_iter("*throttle:short*")]
    assert len(lives) == 1
    assert 60 < int(lives[0]) <= 120


def test_without_redis_nobody_is_kept_out(shared_cache: Redis) -> None:
    shared_cache.kill()
    assert [Window("away").allow("olga", 1) for _ in range(3)] == [0, 0, 0]
    shared_cache.start()
    assert [Window("back").allow("olga", 1) > 0 for _ in range(3)] == [False, True, True]
