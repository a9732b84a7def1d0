"""Upload, status, list, retry, cancel, remove, as a client sees them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from openpyxl.styles import Font

from imageproc.images import store
from imageproc.intake import ingest
from imageproc.models import ApiKey, ProcessingRequest, Switch
from imageproc.requests import operations, report
from imageproc.requests.report.saved import save
from imageproc.sheet import XLSX
from tests.api.conftest import CSV, Checked, accepted, document, finish, upload, validator
from tests.sheet.test_workbooks import a_book, saved, values
from tests.support import build

pytestmark = pytest.mark.django_db(transaction=True)


def test_accepted(api: Checked) -> None:
    answer = upload(api)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["status"], body["totalProducts"], body["totalImages"]) == ("PENDING", 2, 3)
    assert answer["Location"] == f"http://testserver/api/status/{body['requestId']}"
    assert answer["Location"] == body["links"]["status"]
    assert answer["Retry-After"] == "2"


def test_the_body_may_be_the_csv_itself(api: Checked) -> None:
    query = "/api/upload?preset=half&maxWidth=640&priority=high"
    answer = api.post(query, CSV, content_type="text/csv")
    request = ProcessingRequest.objects.get(id=answer.json()["requestId"])
    assert (request.recipe["max_width"], request.recipe["quality"]) == (640, 50)
    assert request.priority == "high"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("preset", "huge"),
        ("maxWidth", "0"),
        ("maxHeight", "20000"),
        ("quality", "101"),
        ("format", "gif"),
        ("background", "red"),
        ("priority", "urgent"),
        ("storeOriginals", "perhaps"),
        ("webhookUrl", "not a link"),
    ],
)
def test_an_option_out_of_range_is_named(api: Checked, field: str, value: str) -> None:
    options: dict[str, Any] = {field: value}
    answer = upload(api, **options)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not ProcessingRequest.objects.exists()


def test_invalid_lines_are_listed_and_nothing_is_stored(api: Checked) -> None:
    answer = upload(api, b"S. No.,Product Name,Input Image Urls\n1,,http://a.example/1.jpg\n")
    assert answer.status_code == 400
    body = answer.json()
    assert (body["code"], body["errorCount"]) == ("csv_invalid", 1)
    assert (body["errors"][0]["line"], body["errors"][0]["column"]) == (2, "Product Name")
    assert not ProcessingRequest.objects.exists()


def test_a_dry_run_stores_nothing(api: Checked) -> None:
    before = list(store.list_keys(""))
    twice = CSV + b"3,Hat,http://shop.example/1.jpg\n"
    answer = upload(api, twice, dryRun="true").json()
    assert answer["valid"] is True
    assert (answer["totalProducts"], answer["totalImages"]) == (3, 4)
    assert answer["hosts"][0] == {"host": "shop.example", "images": 3}
    assert answer["duplicateUrls"] == 1
    bad = upload(api, b"S. No.,Product Name,Input Image Urls\n1,,x\n", dryRun="true").json()
    assert (bad["valid"], bad["errorCount"]) == (False, len(bad["errors"]))
    assert not ProcessingRequest.objects.exists()
    assert list(store.list_keys("")) == before


def test_too_large_is_refused(api: Checked, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = len(CSV) - 1
    answer = upload(api)
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")


def test_a_paused_intake_says_when_to_come_back(api: Checked) -> None:
    operations.pause(Switch.INTAKE)
    answer = upload(api)
    assert (answer.status_code, answer.json()["code"]) == (503, "intake_paused")
    assert answer["Retry-After"] == "30"


def test_an_idempotency_key_replays_the_answer_for_a_day(api: Checked) -> None:
    key = {"Idempotency-Key": "k1"}
    first = upload(api, headers=key)
    request = ProcessingRequest.objects.get()
    operations.cancel(request.id)
    again = upload(api, headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    other = upload(api, CSV + b"3,Bag,http://shop.example/4.jpg\n", headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    yesterday = timezone.now() - timedelta(hours=25)
    ProcessingRequest.objects.update(created_at=yesterday)
    later = upload(api, headers=key)
    assert later.json()["requestId"] != first.json()["requestId"]
    assert upload(api, headers={"Idempotency-Key": "k" * 256}).status_code == 400


def test_status_tells_the_whole_story(api: Checked) -> None:
    request = finish(accepted(api), failing="3.jpg")
    body = api.get(f"/api/status/{request.id}").json()
    assert (body["status"], body["progress"]) == ("COMPLETED", 100.0)
    assert (body["processedImages"], body["completedImages"], body["failedImages"]) == (3, 2, 1)
    assert (body["bytesIn"], body["bytesOut"], body["bytesSaved"]) == (4000, 1000, 3000)
    assert [(e["code"], e["images"]) for e in body["errors"]] == [("not_found", 1)]
    assert [p["status"] for p in body["products"]] == ["COMPLETED", "PARTIAL"]
    hat = body["products"][1]
    assert hat["inputImageUrls"] == ["http://shop.example/2.jpg", "http://cdn.example/3.jpg"]
    assert hat["outputImageUrls"][1] is None
    assert hat["images"][1]["error"]["code"] == "not_found"
    assert hat["outputImageUrls"][0].startswith("http://testserver/api/images/")
    assert body["webhook"] is None


def test_status_pages(api: Checked) -> None:
    request = accepted(api)
    first = api.get(f"/api/requests/{request.id}?limit=1").json()
    assert [p["serialNumber"] for p in first["products"]] == ["1"]
    last = api.get(f"/api/status/{request.id}?limit=1&cursor={first['nextCursor']}").json()
    assert ([p["serialNumber"] for p in last["products"]], last["nextCursor"]) == (["2"], None)
    assert api.get(f"/api/status/{request.id}?limit=501").status_code == 400


def test_an_unchanged_status_is_a_304(api: Checked) -> None:
    request = finish(accepted(api))
    first = api.get(f"/api/status/{request.id}")
    assert "Retry-After" not in first
    same = api.get(f"/api/status/{request.id}", headers={"If-None-Match": first["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    operations.rerun(request.images.all()[0].id)
    changed = api.get(f"/api/status/{request.id}", headers={"If-None-Match": first["ETag"]})
    assert (changed.status_code, changed["Retry-After"]) == (200, "2")


@pytest.mark.parametrize("images", [1, 40])
def test_status_costs_the_same_whatever_the_size(
    api: Checked, images: int, django_assert_num_queries: Any
) -> None:
    made = build.request(images, webhook_url="http://r.example/", owner=local())
    operations.cancel(made.id)
    api.get(f"/api/status/{made.id}")
    # Caller, request, products, deliveries, attempts; and the reasons where images failed.
    with django_assert_num_queries(5):
        api.get(f"/api/status/{made.id}")
    ProcessingRequest.objects.filter(id=made.id).update(failed_images=1)
    with django_assert_num_queries(6):
        api.get(f"/api/status/{made.id}")


def local() -> Any:
    return get_user_model().objects.get_or_create(username="local")[0]


def test_the_list_pages_from_the_newest(api: Checked) -> None:
    made = [build.request(1, owner=local()) for _ in range(3)]
    build.request(1)
    first = api.get("/api/requests?limit=2").json()
    assert [r["requestId"] for r in first["requests"]] == [str(made[2].id), str(made[1].id)]
    last = api.get(f"/api/requests?limit=2&cursor={first['nextCursor']}").json()
    assert [r["requestId"] for r in last["requests"]] == [str(made[0].id)]
    assert last["nextCursor"] is None
    operations.cancel(made[0].id)
    found = api.get("/api/requests?status=CANCELLED").json()["requests"]
    assert [r["requestId"] for r in found] == [str(made[0].id)]


def test_retry_cancel_priority_and_remove(api: Checked) -> None:
    request = finish(accepted(api), failing=".jpg")
    where = f"/api/requests/{request.id}"
    asked = {"code": "no_such_code"}
    none = api.post(f"{where}/retry", asked, content_type="application/json")
    assert (none.status_code, none.json()["code"]) == (409, "nothing_to_retry")
    one = api.post(f"{where}/retry", {"host": "cdn.example"}, content_type="application/json")
    assert (one.status_code, one.json()["retriedImages"]) == (202, 1)
    assert api.post(f"{where}/retry").json()["retriedImages"] == 2
    high = api.patch(where, {"priority": "high"}, content_type="application/json")
    assert high.json()["priority"] == "high"
    assert api.post(f"{where}/cancel").json()["status"] == "CANCELLED"
    assert api.post(f"{where}/cancel").status_code == 200
    late = api.patch(where, {"priority": "low"}, content_type="application/json")
    assert (late.status_code, late.json()["code"]) == (409, "request_ended")
    assert api.delete(where).status_code == 204
    assert api.get(where).status_code == 404
    assert api.delete(where).status_code == 404
    assert api.get("/api/requests").json()["requests"] == []


def test_an_ended_request_cannot_be_cancelled(api: Checked) -> None:
    request = finish(accepted(api))
    assert api.post(f"/api/requests/{request.id}/cancel").status_code == 409


def test_anothers_request_does_not_exist(api: Checked) -> None:
    other = build.request(1)
    stem = f"/api/requests/{other.id}"
    for path in (stem, f"/api/status/{other.id}", *(f"{stem}/{n}.csv" for n in FILES)):
        assert api.get(path).status_code == 404
    for path in (f"{stem}/retry", f"{stem}/cancel"):
        assert api.post(path).status_code == 404
    assert api.delete(stem).status_code == 404


FILES = ("output", "input", "failed")


def test_files(api: Checked) -> None:
    request = accepted(api)
    stem = f"/api/requests/{request.id}"
    part = api.get(f"{stem}/output.csv").getvalue().decode()
    assert part.splitlines()[1].endswith("PENDING,")
    finish(request, failing="3.jpg")
    assert api.get(f"{stem}/input.csv").getvalue() == CSV
    whole = api.get(f"{stem}/output.csv")
    assert whole["Content-Disposition"] == 'attachment; filename="output-products.csv"'
    assert "COMPLETED" in whole.getvalue().decode().splitlines()[1]
    head = api.head(f"{stem}/output.csv")
    assert (head.status_code, head.getvalue()) == (200, b"")
    failed = api.get(f"{stem}/failed.csv").getvalue()
    again = accepted(api, failed)
    assert [i.input_url for i in again.images.all()] == ["http://cdn.example/3.jpg"]


def test_a_workbook_comes_back_as_one_and_as_csv(api: Checked, tmp_path: Path) -> None:
    book = a_book(2)
    book["Products"]["A9"].font = Font(bold=True)  # a row without text behind the last one
    content = saved(book)
    request = finish(accepted(api, content))
    stem = f"/api/requests/{request.id}"
    answer = api.get(f"{stem}/input.csv")
    assert (answer["Content-Type"], answer.getvalue()) == (XLSX, content)
    links = api.get(f"/api/status/{request.id}").json()["links"]
    assert links["outputXlsx"] == f"http://testserver{stem}/output.xlsx"
    given = api.get(f"{stem}/output.xlsx")
    assert given["Content-Type"] == XLSX
    stored_book = given.getvalue()
    rows = values(stored_book, "Products")
    assert [row[6:] for row in rows[2:5]] == [
        ["Output Image Urls", "Status", "Error"],
        *([url, "COMPLETED", None] for url in _addresses(request)),
    ]
    with store.open_read(request.output_csv) as stored:
        assert (request.output_csv[-5:], stored.read()) == (".xlsx", stored_book)
    answer = api.get(f"{stem}/output.csv?output=replace")
    assert answer["Content-Disposition"] == 'attachment; filename="output-products.csv"'
    lines = answer.getvalue().decode("utf-8-sig").splitlines()
    assert [line.split(",")[4] for line in lines[3:]] == _addresses(request)
    answer = api.get(f"{stem}/output.xlsx?output=replace")
    rows = values(answer.getvalue(), "Products")
    assert [row[4] for row in rows[3:5]] == _addresses(request)
    assert sum(save(request, tmp_path)) == 2
    cells = values((tmp_path / "output.xlsx").read_bytes(), "Products")[3]
    assert (tmp_path / cells[6]).stat().st_size == 500


def _addresses(request: ProcessingRequest) -> list[str]:
    images = request.images.order_by("product__row_number")
    return [report.image_url("http://testserver", one) for one in images]


def test_a_csv_has_no_workbook(api: Checked) -> None:
    assert api.get(f"/api/requests/{accepted(api).id}/output.xlsx").status_code == 404


@pytest.mark.parametrize("prefix", ["", "/csv"])
def test_the_old_paths(api: Checked, prefix: str) -> None:
    field = "csv" if prefix else "file"
    file = SimpleUploadedFile("products.csv", CSV, "text/csv")
    hook = {"webhook_url" if prefix else "webhookUrl": "http://receiver.example/hook"}
    answer = api.post(f"{prefix}/upload", {field: file, **hook})
    assert answer.status_code == 202
    request = ProcessingRequest.objects.get(id=answer.json()["requestId"])
    assert request.webhook_url == "http://receiver.example/hook"
    ingest.ingest(request.id)
    finish(request)
    assert api.get(f"{prefix}/status/{request.id}").json()["status"] == "COMPLETED"
    image = request.images.all()[0]
    path = f"/csv/download/{image.id}" if prefix else f"/image/{request.id}/{image.id}"
    assert len(api.get(path).getvalue()) == 500
    assert api.get(f"/image/{uuid4()}/{image.id}").status_code == 404


# --- Errors, other sites, keys --------------------------------------------------------------------
@pytest.mark.parametrize("method", ["get", "post", "delete", "options"])
def test_unknown_addresses_are_problems(api: Checked, method: str) -> None:
    answer = getattr(api, method)("/api/no/such/thing")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"


def test_an_unexpected_error_is_a_problem(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("imageproc.requests.report.request_page", broken)
    answer = Client().get("/api/requests")
    assert (answer.status_code, answer["Content-Type"]) == (500, "application/problem+json")
    assert answer.json()["code"] == "internal_error"
    assert b"secret detail" not in answer.content


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, 202),
        ({"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}, 202),
        ({}, 202),
    ],
)
def test_other_sites_change_nothing_here(
    api: Checked, settings: Any, headers: dict[str, str], status: int
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    assert upload(api, headers=headers).status_code == status


def test_cors_by_setting(api: Checked, settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    mine = api.get("/api/requests", headers={"Origin": "https://shop.example"})
    assert mine["Access-Control-Allow-Origin"] == "https://shop.example"
    other = api.get("/api/requests", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other


def test_a_key_opens_what_its_scopes_say(api: Checked, settings: Any) -> None:
    settings.API_ANONYMOUS = False
    assert api.get("/api/requests").status_code == 401
    key, secret = ApiKey.objects.issue(owner_id=build.owner().pk, name="k", scopes=("read",))
    bearer = {"Authorization": f"Bearer {secret}"}
    assert api.get("/api/requests", headers=bearer).status_code == 200
    assert upload(api, headers=bearer).status_code == 403
    assert api.post(f"/api/requests/{uuid4()}/cancel", headers=bearer).status_code == 403
    ApiKey.objects.revoke(key.pk)
    assert api.get("/api/requests", headers=bearer).status_code == 401


# --- The document ---------------------------------------------------------------------------------
def test_the_document_is_openapi_3_1_and_its_examples_are_true() -> None:
    whole = document()
    assert whole["openapi"].startswith("3.1")
    seen = 0
    for methods in whole["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    for example in content.get("examples", {}).values():
                        validator(content["schema"]).validate(example["value"])
                        seen += 1
    # The status stands under two addresses.
    assert seen == 5


def test_the_docs_page_loads_nothing_from_elsewhere() -> None:
    page = Client().get("/api/docs").content.decode()
    assert "/static/drf_spectacular_sidecar/" in page
    assert "//" not in page.replace("http://testserver", "").replace("<!--", "")
    assert Client().get("/api/schema").status_code == 200


@pytest.mark.parametrize("path", ["/api/schema", "/api/docs"])
def test_the_documents_errors_are_json_too(path: str) -> None:
    """Their own formats are YAML and HTML."""
    for answer, status, code in (
        (Client().post(path), 405, "method_not_allowed"),
        (Client().get(path, headers={"accept": "image/png"}), 406, "not_acceptable"),
        (Client().get(f"{path}?format=png"), 404, "not_found"),
    ):
        assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
        assert (answer.json()["status"], answer.json()["code"]) == (status, code)
