"""Files of any header and with bad rows: accepted, ingested, told and given back."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from imageproc import intake
from imageproc.intake import columns
from imageproc.intake import ingest as ingestion
from imageproc.models import (
    ColumnMapping,
    ImageStatus,
    ProcessingRequest,
    ProductImage,
    RowError,
)
from imageproc.requests import report
from imageproc.sheet import Choice
from tests.support import build

pytestmark = pytest.mark.django_db
HOST = "http://shop.example"
SHOPIFY = (
    "Handle,Title,Image Src,Variant Image\n"
    f"hat,Hat,{HOST}/a.jpg,{HOST}/b.jpg\n"
    f"hat,,{HOST}/b.jpg,{HOST}/b.jpg\n"
    "hat,,,\n"
    f"pen,Pen,nonsense,{HOST}/c.jpg\n"
    f"cap,Cap,{HOST}/d.jpg,,\n"
    f"bag,Bag,{HOST}/e.jpg,,surplus\n"
).encode()


def accepted(csv: bytes, **options: Any) -> ProcessingRequest:
    """Ingested, with every image done but those of HOST/d.jpg."""
    upload = intake.Upload(
        owner_id=build.owner().pk,
        file=io.BytesIO(csv),
        file_name="products.csv",
        base_url="http://testserver",
        options=intake.Options(**options),
    )
    request = intake.accept(upload)
    ingestion.ingest(request.id)
    for image in request.images.all():
        facts: dict[str, Any] = {"output_key": f"x/{image.input_url[-5:]}", "output_size": 5}
        facts |= {"status": ImageStatus.COMPLETED, "width": 5, "height": 5, "output_sha256": "ab"}
        if image.input_url.endswith("d.jpg"):
            facts = {"status": ImageStatus.FAILED, "error_code": "not_found"}
        ProductImage.objects.filter(id=image.id).update(**facts)
    request.refresh_from_db()
    return request


def lines(blocks: Any) -> list[str]:
    return b"".join(blocks).decode().splitlines()


def address(request: ProcessingRequest, row: int, position: int) -> str:
    image = request.images.get(product__row_number=row, position=position)
    return report.image_url("http://testserver", image)


def test_good_rows_run_and_each_bad_one_is_told() -> None:
    request = accepted(SHOPIFY, skip_bad_rows=True)
    assert (request.total_products, request.total_images) == (4, 4)
    assert (request.bad_rows, request.imageless_rows) == (2, 1)
    assert request.ingested_at is not None
    a, b, again = address(request, 1, 1), address(request, 1, 2), address(request, 2, 1)
    gone = report.failure_groups(request.id)
    assert gone == []
    output = lines(report.output_file(request))
    assert output[:4] == [
        "Handle,Title,Image Src,Output Image Src,Variant Image,Output Variant Image,Status,Error",
        f"hat,Hat,{HOST}/a.jpg,{a},{HOST}/b.jpg,{b},COMPLETED,",
        f"hat,,{HOST}/b.jpg,{again},{HOST}/b.jpg,{again},COMPLETED,",
        "hat,,,,,,NO_IMAGE,",
    ]
    assert output[4].startswith(f"pen,Pen,nonsense,,{HOST}/c.jpg,,SKIPPED,Image Src: This is not a")
    assert output[5].startswith(f"cap,Cap,{HOST}/d.jpg,,,,FAILED,")
    assert output[6].startswith(f'bag,Bag,{HOST}/e.jpg,,,,SKIPPED,"This row has 5 cells')
    assert output[6].endswith(",surplus")
    assert lines(report.failed_csv(request)) == [
        "Handle,Title,Image Src,Variant Image",
        f"pen,Pen,nonsense,{HOST}/c.jpg",
        f"cap,Cap,{HOST}/d.jpg,",
        f"bag,Bag,{HOST}/e.jpg,,surplus",
    ]
    errors = lines(report.errors_csv(request))
    assert errors[0] == "\ufeffrow,line,column,value,code,message"
    assert [line.split(",")[:5] for line in errors[1:]] == [
        ["5", "5", "Image Src", "nonsense", "url_scheme"],
        ["7", "7", "", '"bag', " Bag"],
    ]


def test_output_urls_take_the_place_of_the_input_urls() -> None:
    request = accepted(SHOPIFY, skip_bad_rows=True)
    a, b, again = address(request, 1, 1), address(request, 1, 2), address(request, 2, 1)
    assert lines(report.output_file(request, report.Form(replace=True))) == [
        "Handle,Title,Image Src,Variant Image",
        f"hat,Hat,{a},{b}",
        f"hat,,{again},{again}",
        "hat,,,",
        f"pen,Pen,nonsense,{HOST}/c.jpg",
        f"cap,Cap,{HOST}/d.jpg,",
        f"bag,Bag,{HOST}/e.jpg,,surplus",
    ]
    told = lines(report.output_file(request, report.Form(replace=True, status=True)))
    assert told[0] == "Handle,Title,Image Src,Variant Image,Status,Error"
    assert told[1] == f"hat,Hat,{a},{b},COMPLETED,"
    assert told[5].startswith(f"cap,Cap,{HOST}/d.jpg,,FAILED,")


def test_one_bad_row_refuses_the_file_by_default_and_a_file_of_bad_rows_always() -> None:
    with pytest.raises(intake.Refused) as refused:
        accepted(SHOPIFY)
    assert (refused.value.code, refused.value.error_count) == ("csv_invalid", 2)
    assert [kind["count"] for kind in refused.value.kinds] == [1, 1]
    for body in ("hat,Hat,nonsense,\n", f'hat,"Hat"s,{HOST}/a.jpg,\n'):
        with pytest.raises(intake.Refused):
            accepted(SHOPIFY.splitlines(keepends=True)[0] + body.encode(), skip_bad_rows=True)
    assert not ProcessingRequest.objects.exists()
    assert not RowError.objects.exists()


def test_an_interrupted_ingest_goes_on_behind_bad_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingestion, "CHUNK", 1)
    expected = accepted(SHOPIFY, skip_bad_rows=True)
    urls = list(expected.images.order_by("id").values_list("input_url", flat=True))
    stops = iter([False, True, False, False, True, *[False] * 9])
    monkeypatch.setattr(ingestion, "ingest", lambda _id: 0)
    request = accepted(SHOPIFY, skip_bad_rows=True)
    monkeypatch.undo()
    monkeypatch.setattr(ingestion, "CHUNK", 1)
    for _ in range(5):
        ingestion.ingest(request.id, stop=lambda: next(stops))
        ProcessingRequest.objects.filter(id=request.id).update(lease_until=None)
    request.refresh_from_db()
    assert request.ingested_at is not None
    assert list(request.images.order_by("id").values_list("input_url", flat=True)) == urls


def test_a_saved_choice_is_used_for_its_header_and_owner() -> None:
    csv = f"Art,Foto A,Foto B\n1,{HOST}/a.jpg,{HOST}/b.jpg\n".encode()
    owner = build.owner().pk
    columns.save(owner, ["Art", "Foto A", "Foto B"], Choice(("Foto B",), "Art"))
    columns.save(owner, ["Art", "Foto A", "Foto B"], Choice(("Foto A",), "Art"))
    request = accepted(csv)
    assert list(request.images.values_list("input_url", flat=True)) == [f"{HOST}/a.jpg"]
    assert request.sheet["found_by"] == "saved"
    assert request.products.get().serial_number == "1"
    assert columns.saved_choices(build.owner("other").pk) == {}


def test_the_api_answers_which_column_is_which(client: Client) -> None:
    url = "/api/upload?dryRun=true"
    body = client.post(url, SHOPIFY, "text/csv").json()
    assert (body["valid"], body["badRows"], body["rowsWithoutImage"]) == (False, 2, 1)
    assert body["columns"] == {
        "images": ["Image Src", "Variant Image"],
        "serial": "Handle",
        "name": "Title",
        "foundBy": "profile",
        "profile": "Shopify",
    }
    assert body["rows"][1] == {
        "line": 3,
        "serialNumber": "hat",
        "productName": "",
        "imageUrls": [f"{HOST}/b.jpg"],
    }
    assert [kind["code"] for kind in body["errorKinds"]] == ["url_scheme", "too_many_cells"]
    assert client.post(f"{url}&onError=skip", SHOPIFY, "text/csv").json()["valid"] is True
    chosen = json.dumps({"images": ["Variant Image"], "name": "Title"})
    body = client.post(f"{url}&onError=skip&columns={chosen}", SHOPIFY, "text/csv").json()
    assert (body["columns"]["images"], body["columns"]["foundBy"]) == (["Variant Image"], "caller")
    answer = client.post(f"{url}&columns=[1]", SHOPIFY, "text/csv")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "columns")
    listed = client.post("/api/upload/errors.csv", SHOPIFY, "text/csv")
    assert b"".join(listed).count(b"\r\n") == 3


def test_an_upload_answers_what_was_assumed_and_left_out(client: Client) -> None:
    csv = "S. No.,Product Name,Input Image Urls\n1,Красные туфли,http://8.8.8.8/a.jpg?x=1&amp;y=2\n"
    answer = client.post("/api/upload", csv.encode("cp1251"), "text/csv").json()
    assert answer["notes"] == [
        "The file does not say how its letters are encoded; cp1251 was assumed. "
        "Its bytes come back unchanged.",
        "In 1 link the HTML &amp; was read as &.",
    ]
    answer = client.post("/api/upload?onError=skip", SHOPIFY, "text/csv").json()
    assert (answer["skippedRows"], answer["rowsWithoutImage"]) == (2, 1)
    ingestion.ingest(ProcessingRequest.objects.latest("id").id)
    status = client.get(answer["links"]["status"]).json()
    assert (status["skippedRows"], status["rowsWithoutImage"]) == (2, 1)
    assert [product["status"] for product in status["products"]] == [
        *("PENDING", "PENDING", "NO_IMAGE", "PENDING")
    ]
    classic = csv.replace("&amp;", "&").encode()
    assert set(client.post("/api/upload", classic, "text/csv").json()) == {
        *("requestId", "status", "message", "totalProducts", "totalImages", "links")
    }


@pytest.mark.parametrize(("on_error", "code"), [("refuse", 2), ("skip", 0)])
def test_the_command_line_says_how_a_file_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], on_error: str, code: int
) -> None:
    path = tmp_path / "shop.csv"
    path.write_bytes(SHOPIFY)
    with pytest.raises(SystemExit) as ended:
        call_command("process", str(path), "--dry-run", "--on-error", on_error)
    assert ended.value.code == code
    told = " ".join(capsys.readouterr().err.split())
    assert "images: Image Src, Variant Image (by profile Shopify)" in told
    assert "4 rows, 4 images, 1 rows without an image, 2 bad rows" in told
    assert not ProcessingRequest.objects.exists()


def test_of_many_saved_choices_the_newest_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MAX_SAVED", 2)
    owner = build.owner().pk
    for name in ("Foto A", "Foto B", "Foto C"):
        columns.save(owner, [name], Choice((name,)))
    ColumnMapping.objects.filter(header=["Foto A"]).update(saved_at="2001-01-01T00:00:00Z")
    ColumnMapping.objects.filter(header=["Foto B"]).update(saved_at="2001-01-02T00:00:00Z")
    found = columns.saved_choices(owner).values()
    assert sorted(choice.images for choice in found) == [("Foto B",), ("Foto C",)]
