"""Whose key opens what: every address by every scope, and ids in bodies that name another's."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from imageproc.faults import NOT_FOUND
from imageproc.images import store
from imageproc.images.claim import claim
from imageproc.images.outcome import Failed
from imageproc.images.record import record
from imageproc.models import ApiKey, ProcessingRequest, ProductImage, WebhookDelivery
from imageproc.requests import operations
from tests.support import build

pytestmark = pytest.mark.django_db
SCOPES = ("upload", "read", "operate")
CSV = b"S. No.,Product Name,Input Image Urls\n1,Red Shoe,http://shop.example/1.jpg\n"


@pytest.fixture(autouse=True)
def _production(settings: Settings) -> None:
    settings.API_ANONYMOUS = False
    cache.clear()


def with_scopes(*scopes: str, owner: str = "olga") -> Client:
    owner_id = build.owner(owner).pk
    _, secret = ApiKey.objects.issue(owner_id=owner_id, name="test", scopes=scopes)
    return Client(headers={"authorization": f"Bearer {secret}"})


# method, address, the scope that it needs
CALLS = [
    ("POST", "/api/upload?dryRun=true", "upload"),
    ("POST", "/upload?dryRun=true", "upload"),
    ("POST", "/csv/upload?dryRun=true", "upload"),
    ("POST", "/api/upload/errors.csv", "upload"),
    ("GET", "/api/requests", "read"),
    ("GET", "/api/status/{request}", "read"),
    ("GET", "/status/{request}", "read"),
    ("GET", "/csv/status/{request}", "read"),
    ("GET", "/api/requests/{request}", "read"),
    ("HEAD", "/api/requests/{request}", "read"),
    ("GET", "/api/requests/{request}/output.csv", "read"),
    ("GET", "/api/requests/{request}/images.zip", "read"),
    ("GET", "/api/requests/{request}/input.csv", "read"),
    ("GET", "/api/requests/{request}/failed.csv", "read"),
    ("GET", "/api/requests/{request}/errors.csv", "read"),
    ("GET", "/api/images/{image}/original", "read"),
    ("PATCH", "/api/requests/{request}", "operate"),
    ("DELETE", "/api/requests/{request}", "operate"),
    ("POST", "/api/requests/{request}/retry", "operate"),
    ("POST", "/api/requests/{request}/cancel", "operate"),
    ("GET", "/api/webhooks/secret", "operate"),
    ("POST", "/api/webhooks/secret/rotate", "operate"),
    ("POST", "/api/webhooks/deliveries/{delivery}/redeliver", "operate"),
]


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize(("method", "path", "needed"), CALLS)
def test_every_address_needs_its_scope(method: str, path: str, needed: str, scope: str) -> None:
    """403 before anything is looked up; with the scope, the thing is not there."""
    path = path.format(request=uuid4(), image=uuid4(), delivery=uuid4())
    client = with_scopes(scope)
    body, kind = (CSV, "text/csv") if "upload" in path else (b"", "application/json")
    answer = client.generic(method, path, body, content_type=kind)
    if scope != needed:
        assert answer.status_code == 403
    else:
        assert answer.status_code == (404 if "-" in path else 201 if "rotate" in path else 200)


def test_a_key_without_a_scope_opens_nothing() -> None:
    for method, path, _ in CALLS:
        path = path.format(request=uuid4(), image=uuid4(), delivery=uuid4())
        assert with_scopes().generic(method, path).status_code == 403


# --- Ids in bodies --------------------------------------------------------------------------------
def failed(owner: str) -> ProcessingRequest:
    of = build.request(2, owner=build.owner(owner), webhook_url="http://r.example/")
    record([Failed(job, NOT_FOUND) for job in claim()])
    return of


def test_a_retry_by_ids_takes_only_images_of_this_request() -> None:
    mine, other, theirs = failed("olga"), failed("olga"), failed("paul")
    first = mine.images.order_by("id")[0]
    foreign = [str(image.id) for of in (other, theirs) for image in of.images.all()]
    olga = with_scopes("operate")
    path = f"/api/requests/{mine.id}/retry"
    asked: dict[str, Any] = {"imageIds": foreign}
    answer = olga.post(path, asked, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_retry")
    asked = {"imageIds": [*foreign, str(first.id)]}
    answer = olga.post(path, asked, content_type="application/json")
    assert (answer.status_code, answer.json()["retriedImages"]) == (202, 1)
    assert (answer.json()["requestId"], answer.json()["failedImages"]) == (str(mine.id), 1)
    pending = ProductImage.objects.filter(status="PENDING")
    assert list(pending) == [first]


@pytest.mark.parametrize(
    "body",
    [
        {"imageIds": ["no id"]},
        {"imageIds": "all"},
        {"imageIds": [str(uuid4())] * 1001},
        {"code": "x" * 41},
        {"host": "x" * 256},
    ],
)
def test_a_retry_that_cannot_be_read_moves_nothing(body: dict[str, Any]) -> None:
    of = failed("olga")
    answer = with_scopes("operate").post(
        f"/api/requests/{of.id}/retry", body, content_type="application/json"
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_fields")
    assert build.statuses(of) == ["FAILED", "FAILED"]


def test_a_retry_by_reason_and_host() -> None:
    of = build.request(0, owner=build.owner("olga"), total_products=3, total_images=3)
    for number, host in enumerate(["a.example", "b.example", "a.example"], 1):
        build.image(of, number, host)
    record([Failed(job, NOT_FOUND) for job in claim()])
    olga, path = with_scopes("operate"), f"/api/requests/{of.id}/retry"
    for body, retried in (
        ({"code": "not_found", "host": "c.example"}, None),
        ({"code": "too_large", "host": "a.example"}, None),
        ({"code": "not_found", "host": "a.example"}, 2),
        ({"host": "b.example"}, 1),
    ):
        answer = olga.post(path, body, content_type="application/json").json()
        assert answer.get("retriedImages") == retried


# --- Things of others, and of requests that are being removed -------------------------------------
def thing_of(owner: str) -> tuple[ProcessingRequest, ProductImage, WebhookDelivery]:
    of = build.request(1, owner=build.owner(owner), webhook_url="http://r.example/")
    [job] = claim()
    store.put(f"{of.id}/a.jpg", b"original", "image/jpeg")
    record([build.done(job)])
    of.images.update(original_key=f"{of.id}/a.jpg")
    delivery = WebhookDelivery.objects.create(
        request=of, event="request.completed", url=of.webhook_url, body="{}", status="FAILED"
    )
    return of, of.images.get(), delivery


@pytest.mark.parametrize("case", ["mine", "another's", "mine, removed"])
def test_originals_and_deliveries_are_their_owners(case: str) -> None:
    of, image, delivery = thing_of("paul" if case == "another's" else "olga")
    if case == "mine, removed":
        ProcessingRequest.objects.filter(id=of.id).update(removed_at=timezone.now())
    olga = with_scopes(*SCOPES)
    found = 200 if case == "mine" else 404
    answer = olga.get(f"/api/images/{image.id}/original")
    assert answer.status_code == found
    if case == "mine":
        assert answer.getvalue() == b"original"
        assert answer["Cache-Control"] == "private, no-cache"
        assert answer["Content-Disposition"].startswith("attachment")
        assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    path = f"/api/webhooks/deliveries/{delivery.id}/redeliver"
    assert olga.post(path).status_code == (202 if case == "mine" else 404)
    delivery.refresh_from_db()
    assert delivery.status == ("PENDING" if case == "mine" else "FAILED")


def test_an_image_is_found_under_its_own_request_alone() -> None:
    (of, image, _), (other, _, _) = thing_of("olga"), thing_of("olga")
    store.put(image.output_key, b"12345", "image/jpeg")
    for path, status in (
        (f"/image/{of.id}/{image.id}", 200),
        (f"/image/{other.id}/{image.id}", 404),
        (f"/csv/download/{image.id}", 200),
    ):
        assert Client().get(path).status_code == status


def test_a_delivery_that_is_being_sent_is_not_sent_again() -> None:
    _, _, delivery = thing_of("olga")
    WebhookDelivery.objects.filter(id=delivery.id).update(
        status="SENDING", lease_id=uuid4(), lease_until=timezone.now()
    )
    answer = with_scopes("operate").post(f"/api/webhooks/deliveries/{delivery.id}/redeliver")
    assert (answer.status_code, answer.json()["code"]) == (409, "being_sent")


def test_each_owner_has_a_secret_of_its_own() -> None:
    olga, paul = with_scopes("operate"), with_scopes("operate", owner="paul")
    mine, theirs = (c.get("/api/webhooks/secret").json() for c in (olga, paul))
    assert mine["secret"] != theirs["secret"]
    assert mine["previousExpiresAt"] is None
    rotated = olga.post("/api/webhooks/secret/rotate").json()
    assert rotated["secret"] != mine["secret"]
    assert rotated["previousExpiresAt"] is not None
    assert olga.get("/api/webhooks/secret").json() == rotated
    assert paul.get("/api/webhooks/secret").json() == theirs


def test_what_is_cancelled_or_removed_is_the_callers() -> None:
    mine, other, theirs = (failed(owner) for owner in ("olga", "olga", "paul"))
    olga = with_scopes("operate")
    assert olga.post(f"/api/requests/{theirs.id}/cancel").status_code == 404
    assert olga.delete(f"/api/requests/{theirs.id}").status_code == 404
    body = {"priority": "high"}
    path = f"/api/requests/{theirs.id}"
    assert olga.patch(path, body, content_type="application/json").status_code == 404
    assert olga.delete(f"/api/requests/{mine.id}").status_code == 204
    assert olga.post(f"/api/requests/{other.id}/cancel").status_code == 200
    rows = {of.id: of for of in ProcessingRequest.objects.all()}
    assert (rows[theirs.id].status, rows[theirs.id].priority) == ("PROCESSING", "normal")
    assert [rows[of.id].removed_at is None for of in (mine, other, theirs)] == [False, True, True]
    assert rows[other.id].status == "CANCELLED"


def test_a_key_of_somebody_who_may_not_sign_in_opens_nothing() -> None:
    olga = with_scopes(*SCOPES)
    assert olga.get("/api/requests").status_code == 200
    type(build.owner("olga")).objects.filter(username="olga").update(is_active=False)
    assert olga.get("/api/requests").status_code == 401


def test_the_last_use_of_a_key_is_written_once_a_minute() -> None:
    olga = with_scopes("read")
    olga.get("/api/requests")
    key = ApiKey.objects.get()
    assert key.last_used_at is not None
    for ago, written in ((50, False), (65, True)):
        before = timezone.now() - timezone.timedelta(seconds=ago)  # type: ignore[attr-defined]
        ApiKey.objects.update(last_used_at=before)
        olga.get("/api/requests")
        assert (ApiKey.objects.get().last_used_at != before) is written


def test_operations_are_of_one_request() -> None:
    """The domain's calls, too: a sibling of the same owner stays as it is."""
    mine, sibling = failed("olga"), failed("olga")
    operations.retry(mine.id)
    operations.set_priority(mine.id, "low")
    operations.cancel(mine.id)
    sibling.refresh_from_db()
    assert (sibling.status, sibling.priority) == ("PROCESSING", "normal")
    assert build.statuses(sibling) == ["FAILED", "FAILED"]
