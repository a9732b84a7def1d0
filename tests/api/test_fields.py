"""One field at a time: options to the stored request, the idempotency digest, the ETag."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from imageproc.intake import ingest
from imageproc.models import (
    FailureTally,
    ProcessingRequest,
    ProductImage,
    WebhookAttempt,
    WebhookDelivery,
)
from tests.api.conftest import CSV
from tests.api.conftest import upload as upload_file
from tests.support import build
from tests.support.changes import after, at

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Client:
    """Without a look at the schema, which would take most of the time here."""
    return Client()


def upload(api: Client, body: bytes = CSV, **options: Any) -> Any:
    return upload_file(api, body, **options)


CATALOG = {
    "max_width": 800,
    "max_height": 800,
    "quality": 30,
    "format": "jpeg",
    "background": "#ffffff",
    "preset": "catalog",
}
HALF = CATALOG | {"max_width": None, "max_height": None, "quality": 50, "preset": "half"}
PADDED = CATALOG | {"fit": "pad", "margin": 7.5, "trim": 20}
COVERED = CATALOG | {"fit": "cover", "crop": "attention"}
SQUARE = CATALOG | {"max_width": 2000, "max_height": 2000, "quality": 85, "preset": "amazon"}
AMAZON = SQUARE | {"fit": "pad", "trim": 20, "margin": 7.5}
REST = {
    "host_pace": None,
    "priority": "normal",
    "store_originals": False,
    "webhook_url": "",
    "notify_email": "",
    "replace_urls": False,
    "status_column": False,
}
HOOK = "http://8.8.8.8/hook?a=1&b=2"
# what is sent → what it changes in the recipe, and in the request beside it
OPTIONS: list[tuple[dict[str, str], dict[str, Any], dict[str, Any]]] = [
    ({}, CATALOG, {}),
    ({"preset": "catalog"}, CATALOG, {}),
    ({"preset": "half"}, HALF, {}),
    ({"maxWidth": "123"}, CATALOG | {"max_width": 123}, {}),
    ({"maxHeight": "124"}, CATALOG | {"max_height": 124}, {}),
    ({"quality": "1"}, CATALOG | {"quality": 1}, {}),
    ({"quality": "100"}, CATALOG | {"quality": 100}, {}),
    ({"maxWidth": "1", "maxHeight": "16383"}, CATALOG | {"max_width": 1, "max_height": 16383}, {}),
    *(({"format": f}, CATALOG | {"format": f}, {}) for f in ("jpeg", "webp", "avif", "png")),
    ({"background": "#0A0b0C"}, CATALOG | {"background": "#0A0b0C"}, {}),
    ({"preset": "half", "maxHeight": "9"}, HALF | {"max_height": 9}, {}),
    ({"preset": "half", "quality": "51"}, HALF | {"quality": 51}, {}),
    ({"fit": "inside", "trim": "0", "margin": "0", "crop": "centre"}, CATALOG, {}),
    ({"fit": "pad", "margin": "7.5", "trim": "20"}, PADDED, {}),
    ({"fit": "cover", "crop": "attention"}, COVERED, {}),
    ({"sharpen": "true"}, CATALOG | {"sharpen": True}, {}),
    ({"sharpen": "false", "keepCopyright": "false"}, CATALOG, {}),
    ({"maxBytes": "5000"}, CATALOG | {"max_bytes": 5000}, {}),
    ({"keepCopyright": "true"}, CATALOG | {"keep_copyright": True}, {}),
    ({"preset": "balanced"}, CATALOG | {"quality": 75, "preset": "balanced"}, {}),
    ({"preset": "amazon"}, AMAZON, {}),
    (
        {"preset": "amazon", "margin": "5", "quality": "90"},
        AMAZON | {"margin": 5, "quality": 90},
        {},
    ),
    ({"preset": "amazon", "trim": "0", "margin": "0"}, SQUARE | {"fit": "pad"}, {}),
    ({"preset": "amazon", "fit": "cover"}, SQUARE | {"fit": "cover", "trim": 20}, {}),
    ({"preset": "amazon", "fit": "inside"}, SQUARE | {"trim": 20}, {}),
    ({"storeOriginals": "true"}, CATALOG, {"store_originals": True}),
    ({"storeOriginals": "false"}, CATALOG, {"store_originals": False}),
    *(({"priority": p}, CATALOG, {"priority": p}) for p in ("high", "normal", "low")),
    ({"hostPace": "2.5"}, CATALOG, {"host_pace": 2.5}),
    ({"webhookUrl": HOOK}, CATALOG, {"webhook_url": HOOK}),
    ({"webhook_url": HOOK}, CATALOG, {"webhook_url": HOOK}),
    ({"notifyEmail": "a@shop.example"}, CATALOG, {"notify_email": "a@shop.example"}),
    ({"output": "append"}, CATALOG, {}),
    ({"output": "replace"}, CATALOG, {"replace_urls": True}),
    ({"statusColumn": "true"}, CATALOG, {"status_column": True}),
    ({"maxWidth": "", "format": "", "webhookUrl": ""}, CATALOG, {}),
]


def by_form(api: Client, options: dict[str, Any]) -> Any:
    return upload(api, **options)


def by_query(api: Client, options: dict[str, str]) -> Any:
    return api.post("/api/upload", CSV, content_type="text/csv", query_params=options)


@pytest.mark.parametrize("send", [by_form, by_query])
@pytest.mark.parametrize(("options", "recipe", "rest"), OPTIONS)
def test_every_option_reaches_the_request(
    api: Client, send: Any, options: dict[str, str], recipe: dict[str, Any], rest: dict[str, Any]
) -> None:
    answer = send(api, options)
    assert answer.status_code == 202, answer.content
    of = ProcessingRequest.objects.get(id=answer.json()["requestId"])
    assert of.recipe == recipe
    assert {name: getattr(of, name) for name in REST} == REST | rest


# name: (value that the page's form sends, recipe, the request beside it)
FORM: list[tuple[dict[str, str], dict[str, Any], dict[str, Any]]] = [
    ({}, CATALOG, {}),
    ({"preset": "half"}, HALF, {}),
    ({"max_width": "123"}, CATALOG | {"max_width": 123}, {}),
    ({"max_height": "124"}, CATALOG | {"max_height": 124}, {}),
    ({"quality": "77"}, CATALOG | {"quality": 77}, {}),
    ({"format": "webp"}, CATALOG | {"format": "webp"}, {}),
    ({"format": "avif"}, CATALOG | {"format": "avif"}, {}),
    ({"format": "png"}, CATALOG | {"format": "png"}, {}),
    ({"format": ""}, CATALOG, {}),
    ({"fit": "pad", "margin": "7.5", "trim": "20"}, PADDED, {}),
    ({"fit": "cover", "crop": "attention"}, COVERED, {}),
    (
        {"sharpen": "on", "background": "#000000"},
        CATALOG | {"sharpen": True, "background": "#000000"},
        {},
    ),
    ({"trim": "0", "margin": "0", "fit": "pad"}, CATALOG | {"fit": "pad"}, {}),
    ({"priority": "low"}, CATALOG, {"priority": "low"}),
    ({"store_originals": "on"}, CATALOG, {"store_originals": True}),
    ({"host_pace": "2.5"}, CATALOG, {"host_pace": 2.5}),
    ({"webhook_url": HOOK}, CATALOG, {"webhook_url": HOOK}),
]


@pytest.mark.parametrize(("options", "recipe", "rest"), FORM)
def test_every_field_of_the_page_reaches_the_request(
    client: Client, options: dict[str, str], recipe: dict[str, Any], rest: dict[str, Any]
) -> None:
    client.force_login(build.owner())
    file = SimpleUploadedFile("shoes.csv", CSV, "text/csv")
    client.post("/", {"file": file, "idempotency_key": "click", **options})
    of = ProcessingRequest.objects.get()
    assert of.recipe == recipe
    assert {name: getattr(of, name) for name in REST} == REST | rest
    facts = (of.owner, of.file_name, of.base_url, of.idempotency_key)
    assert facts == (build.owner(), "shoes.csv", "http://testserver", "click")


def test_what_else_an_upload_says_of_itself(api: Client, settings: Any) -> None:
    settings.PUBLIC_URL = "https://images.example"
    answer = upload(api, headers={"Idempotency-Key": "k1"})
    of = ProcessingRequest.objects.get()
    assert (of.file_name, of.base_url, of.idempotency_key) == (
        *("products.csv", "https://images.example", "k1"),
    )
    assert (of.status, of.total_products, of.total_images, of.input_size) == (
        *("PENDING", 2, 3, len(CSV)),
    )
    assert len(of.idempotency_digest) == len(of.input_sha256) == 64
    assert answer.json()["links"]["status"] == f"https://images.example/api/status/{of.id}"


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("maxWidth", ["1", "16383"], ["0", "-1", "16384", "x", "1.5"]),
        ("maxHeight", ["1", "16383"], ["0", "-1", "16384", "x"]),
        ("quality", ["1", "100"], ["0", "101"]),
        ("background", ["#000000", "#ffFFff"], ["000000", "#fff", "#gggggg", "#0000000"]),
        ("format", ["jpeg"], ["jpg", "JPEG", "gif"]),
        ("onError", ["refuse", "skip"], ["ignore"]),
        ("output", ["append", "replace"], ["both"]),
        ("columns", ['{"images": ["Input Image Urls"]}'], ["[]", "{}", '{"images": [1]}', "x"]),
        ("hostPace", ["0.2", "1000"], ["0", "0.1", "1001", "nan", "x"]),
        ("maxBytes", ["5000"], ["4999", "-1", "x", "1e6"]),
        ("fit", ["inside", "pad", "cover"], ["fill", "PAD"]),
        ("trim", ["0", "100"], ["-1", "101", "1.5", "x"]),
        ("margin", ["0"], ["-1", "45.5", "nan", "x"]),
        ("sharpen", ["true", "false"], ["much"]),
        ("priority", ["low"], ["LOW", "0"]),
        ("preset", ["half"], ["", "full"][1:]),
        ("webhookUrl", ["https://8.8.8.8/"], ["x", "ftp://8.8.8.8/"]),
    ],
)
def test_the_borders_of_each_option(
    api: Client, field: str, good: list[str], bad: list[str]
) -> None:
    for value in good:
        assert by_form(api, {field: value}).status_code == 202, value
    for value in bad:
        assert by_form(api, {field: value}).status_code == 400, value
    assert ProcessingRequest.objects.count() == len(good)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"margin": "5"}, "margin"),
        ({"crop": "attention"}, "crop"),
        ({"preset": "half", "fit": "pad"}, "maxWidth"),
        ({"preset": "half", "fit": "cover", "maxWidth": "5"}, "maxHeight"),
        ({"fit": "pad", "maxWidth": "16383", "maxHeight": "16383"}, "maxWidth"),
    ],
)
def test_options_that_contradict_each_other_are_refused_by_name(
    api: Client, options: dict[str, str], field: str
) -> None:
    for dry in ("false", "true"):
        answer = by_form(api, options | {"dryRun": dry})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_fields")
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not ProcessingRequest.objects.exists()


def test_the_query_adds_to_the_form(api: Client) -> None:
    file = SimpleUploadedFile("products.csv", CSV, "text/csv")
    query = {"quality": "60", "maxWidth": "100"}
    api.post("/api/upload", {"csv": file, "quality": "70"}, query_params=query)
    recipe = ProcessingRequest.objects.get().recipe
    assert (recipe["quality"], recipe["max_width"]) == (70, 100)


def test_a_webhook_to_a_private_address_is_refused(api: Client) -> None:
    for dry in ("false", "true"):
        answer = upload(api, webhookUrl="http://10.0.0.1/", dryRun=dry)
        assert (answer.status_code, answer.json()["code"]) == (400, "webhook_url_refused")
    assert not ProcessingRequest.objects.exists()


# --- The idempotency key --------------------------------------------------------------------------
KEY = {"Idempotency-Key": "k1"}
FIRST: dict[str, Any] = {
    "preset": "half",
    "maxWidth": "100",
    "maxHeight": "100",
    "quality": "40",
    "format": "webp",
    "background": "#000000",
    "fit": "inside",
    "trim": "20",
    "sharpen": "true",
    "keepCopyright": "true",
    "maxBytes": "50000",
    "storeOriginals": "true",
    "hostPace": "4",
    "priority": "high",
    "webhookUrl": "http://8.8.8.8/a",
    "onError": "skip",
    "output": "replace",
    "statusColumn": "true",
    "baseUrl": "http://8.8.8.8/",
    "columns": '{"images": ["Input Image Urls"], "serial": "S. No.", "name": "Product Name"}',
}
OTHER = {
    "preset": "catalog",
    "maxWidth": "101",
    "maxHeight": "101",
    "quality": "41",
    "format": "avif",
    "background": "#000001",
    "fit": "pad",
    "trim": "0",
    "sharpen": "false",
    "keepCopyright": "false",
    "maxBytes": "50001",
    "storeOriginals": "false",
    "hostPace": "5",
    "priority": "low",
    "webhookUrl": "http://8.8.8.8/b",
    "onError": "refuse",
    "output": "append",
    "statusColumn": "false",
    "baseUrl": "http://9.9.9.9/",
    "columns": '{"images": ["Input Image Urls"], "name": "Product Name"}',
}


@pytest.mark.parametrize("field", FIRST)
def test_another_value_of_any_option_is_another_upload(api: Client, field: str) -> None:
    first = upload(api, headers=KEY, **FIRST)
    again = upload(api, headers=KEY, **FIRST)
    assert (again.status_code, again.content) == (202, first.content)
    for other in (FIRST | {field: OTHER[field]}, {k: v for k, v in FIRST.items() if k != field}):
        answer = upload(api, headers=KEY, **other)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert ProcessingRequest.objects.count() == 1


def test_another_file_of_the_same_length_is_another_upload(api: Client) -> None:
    first = upload(api, headers=KEY)
    assert upload(api, CSV.replace(b"Hat", b"Cap"), headers=KEY).status_code == 422
    assert upload(api, headers=KEY).json() == first.json()
    assert upload(api, headers={"Idempotency-Key": "k2"}).json() != first.json()
    assert upload(api).json() != upload(api).json()


@pytest.mark.parametrize(("hours", "replayed"), [(23.9, True), (24.1, False)])
def test_a_key_is_kept_for_a_day(api: Client, hours: float, replayed: bool) -> None:
    first = upload(api, headers=KEY).json()["requestId"]
    upload(api, headers={"Idempotency-Key": "k2"})
    created = timezone.now() - timedelta(hours=hours)
    ProcessingRequest.objects.filter(id=first).update(created_at=created)
    assert (upload(api, headers=KEY).json()["requestId"] == first) is replayed
    kept = ProcessingRequest.objects.exclude(idempotency_key=None).order_by("idempotency_key")
    assert list(kept.values_list("idempotency_key", flat=True)) == ["k1", "k2"]


def test_a_key_is_its_owners_and_free_after_a_removal(api: Client, client: Client) -> None:
    first = upload(api, headers=KEY).json()["requestId"]
    client.force_login(build.owner("paul"))
    theirs = upload(client, headers=KEY).json()["requestId"]
    assert theirs != first
    assert api.delete(f"/api/requests/{first}").status_code == 204
    assert upload(api, headers=KEY).json()["requestId"] not in (first, theirs)


@pytest.mark.parametrize(("key", "status"), [("k" * 255, 202), ("k" * 256, 400), ("", 400)])
def test_how_long_a_key_may_be(api: Client, key: str, status: int) -> None:
    assert upload(api, headers={"Idempotency-Key": key}).status_code == status


# --- The ETag -------------------------------------------------------------------------------------
@pytest.fixture
def running(api: Client) -> ProcessingRequest:
    """An image done and one failed, a message sent in vain."""
    made = upload(api, webhookUrl="http://8.8.8.8/hook").json()["requestId"]
    ingest.ingest(made)
    of = ProcessingRequest.objects.get(id=made)
    first, second, _ = of.images.order_by("id")
    of.images.filter(id=first.id).update(
        status="COMPLETED",
        output_key="a/b-1.jpg",
        output_sha256="ab",
        output_size=10,
        input_size=100,
        width=8,
        height=6,
        content_type="image/jpeg",
    )
    of.images.filter(id=second.id).update(status="FAILED", error_code="not_found")
    FailureTally.objects.add(of.id, "not_found", "shop.example", 1)
    ProcessingRequest.objects.filter(id=made).update(
        **at({"started_at": after(-100)}), completed_images=1, failed_images=1, bytes_in=100
    )
    delivery = WebhookDelivery.objects.create(
        request=of, event="request.completed", url=of.webhook_url, body="{}"
    )
    WebhookAttempt.objects.create(delivery=delivery, number=1, status_code=500, milliseconds=7)
    return of


def of_request(**fields: Any) -> Any:
    return lambda of: ProcessingRequest.objects.filter(id=of.id).update(**at(fields))


def of_image(status: str, /, **fields: Any) -> Any:
    return lambda of: ProductImage.objects.filter(request=of, status=status).update(**fields)


def of_delivery(**fields: Any) -> Any:
    return lambda of: WebhookDelivery.objects.filter(request=of).update(**at(fields))


def of_attempt(**fields: Any) -> Any:
    return lambda of: WebhookAttempt.objects.filter(delivery__request=of).update(**fields)


SENDING = {"status": "SENDING", "lease_id": uuid4()}
# (what changes, the value that the answer shows then, by its path)
SHOWN: list[tuple[str, Any, Any]] = [
    ("status", of_request(status="CANCELLED", completed_at=after(0)), "CANCELLED"),
    ("message", of_request(error_message="why"), "why"),
    ("priority", of_request(priority="high"), "high"),
    ("fileName", of_request(file_name="x.csv"), "x.csv"),
    ("totalProducts", of_request(total_products=7), 7),
    ("totalImages", of_request(total_images=7), 7),
    ("completedImages", of_request(completed_images=2), 2),
    ("failedImages", of_request(failed_images=2), 2),
    ("cancelledImages", of_request(cancelled_images=1), 1),
    ("bytesIn", of_request(bytes_in=1000), 1000),
    ("bytesOut", of_request(bytes_out=11), 11),
    ("bytesSaved", of_request(bytes_out=11), 89),
    ("processedImages", of_request(cancelled_images=1), 3),
    ("progress", of_request(cancelled_images=1), 100.0),
    ("webhook.url", of_request(webhook_url="http://9.9.9.9/"), "http://9.9.9.9/"),
    ("errors.0.images", lambda of: of.tallies.update(images=5), 5),
    ("errors.0.code", lambda of: of.tallies.update(error_code="too_large"), "too_large"),
    ("products.0.productName", lambda of: of.products.update(product_name="Boot"), "Boot"),
    ("products.0.serialNumber", lambda of: of.products.update(serial_number="9"), "9"),
    ("products.0.images.0.status", of_image("COMPLETED", status="PENDING"), "PENDING"),
    ("products.0.status", of_image("COMPLETED", status="PENDING"), "PENDING"),
    ("products.0.outputImageUrls.0", of_image("COMPLETED", status="PENDING"), None),
    ("products.0.images.0.inputSize", of_image("COMPLETED", input_size=40), 40),
    ("products.0.images.0.outputSize", of_image("COMPLETED", output_size=20), 20),
    ("products.0.images.0.compressionRatio", of_image("COMPLETED", output_size=20), 0.2),
    ("products.0.images.0.width", of_image("COMPLETED", width=9), 9),
    ("products.0.images.0.height", of_image("COMPLETED", height=9), 9),
    ("products.0.images.0.sha256", of_image("COMPLETED", output_sha256="cd"), "cd"),
    ("products.0.images.0.attempts", of_image("COMPLETED", attempts=3), 3),
    ("products.0.images.0.contentType", of_image("COMPLETED", content_type="image/x"), "image/x"),
    ("products.0.inputImageUrls.0", of_image("COMPLETED", input_url="http://x/"), "http://x/"),
    ("products.1.images.0.error.code", of_image("FAILED", error_code="too_large"), "too_large"),
    ("webhook.deliveries.0.status", of_delivery(**SENDING), "SENDING"),
    ("webhook.deliveries.0.nextAttemptAt", of_delivery(**SENDING), None),
    ("webhook.deliveries.0.attempts.0.statusCode", of_attempt(status_code=None), None),
    ("webhook.deliveries.0.attempts.0.milliseconds", of_attempt(milliseconds=8), 8),
    ("webhook.deliveries.0.attempts.0.error", of_attempt(error_message="slow"), "slow"),
    ("webhook.deliveries.0.attempts.0.answer", of_attempt(answer="no"), "no"),
    ("webhook.deliveries.0.attempts.0.number", of_attempt(number=2), 2),
]


def shown(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body[int(name)] if name.isdecimal() else body[name]
    return body


@pytest.mark.parametrize(("path", "change", "value"), SHOWN, ids=[path for path, *_ in SHOWN])
def test_whatever_the_answer_shows_changes_its_etag(
    api: Client, running: ProcessingRequest, path: str, change: Any, value: Any
) -> None:
    where = f"/api/status/{running.id}"
    ProcessingRequest.objects.filter(id=running.id).update(started_at=None)  # no rate that moves
    first = api.get(where)
    assert shown(first.json(), path) != value
    seen = {"If-None-Match": first["ETag"]}
    assert api.get(where, headers=seen).status_code == 304
    change(running)
    answer = api.get(where, headers=seen)
    assert answer.status_code == 200
    assert shown(answer.json(), path) == value
    assert answer["ETag"] != first["ETag"]


def test_which_request_is_asked_again_when(api: Client, running: ProcessingRequest) -> None:
    where = f"/api/status/{running.id}"
    answer = api.get(where)
    assert (answer["Retry-After"], answer["Cache-Control"]) == ("2", "private, no-cache")
    for status in ("FAILED", "CANCELLED"):
        of_request(status=status, completed_at=after(0))(running)
        assert "Retry-After" not in api.get(where)


def test_without_an_address_there_is_no_webhook(api: Client, running: ProcessingRequest) -> None:
    of_request(webhook_url="")(running)
    assert api.get(f"/api/status/{running.id}").json()["webhook"] is None
