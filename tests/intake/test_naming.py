"""Names by a pattern: given at the ingest, and refused at the upload where two would be one."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from imageproc import intake
from imageproc.intake import ingest as ingestion
from imageproc.models import PendingUpload, ProcessingRequest
from tests.support import build

pytestmark = pytest.mark.django_db
U = "http://shop.example"
HEAD = "Handle,Title,Image Src,Variant Image\n"


def upload(rows: str, names: str, **options: Any) -> intake.Upload:
    return intake.Upload(
        owner_id=build.owner().pk,
        file=io.BytesIO((HEAD + rows).encode()),
        file_name="products.csv",
        base_url="http://testserver",
        options=intake.Options(names=names, **options),
    )


ROWS = f"a,Red Shoe,{U}/1.jpg,{U}/2.jpg\nbad,No link,nonsense,\n,Стул (новый),{U}/3.jpg,{U}/3.jpg\n"


NEW_CHAIR = "Стул-новый-Image-Src"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("amazon", ["a.MAIN", "a.PT01", "row2.MAIN"]),
        (
            "{name} {column}",
            ["Red-Shoe-Image-Src", "Red-Shoe-Variant-Image", NEW_CHAIR],
        ),
        ("{row}_{position:02}_{digest}", ["1_01_\ufffc", "1_02_\ufffc", "2_01_\ufffc"]),
        ("", ["", "", ""]),
    ],
)
def test_names(names: str, expected: list[str]) -> None:
    request = intake.accept(upload(ROWS, names, skip_bad_rows=True))
    ingestion.ingest(request.id)
    found = request.images.order_by("product__row_number", "position")
    assert list(found.values_list("name", flat=True)) == expected


@pytest.mark.parametrize(
    ("rows", "names", "places", "message"),
    [
        ("a,x,{u}/1.jpg,\n\nb,x,{u}/2.jpg,\nA,x,{u}/3.jpg,\n", "amazon", [2, 5], "rows 2 and 5"),
        ("é,x,{u}/1.jpg,\ne\u0301,x,{u}/2.jpg,\n", "{serial}", [2, 3], "rows 2 and 3"),
        ("a b,x,{u}/1.jpg,\na(b,x,{u}/2.jpg,\n", "{serial}", [2, 3], "rows 2 and 3"),
        ("a.,x,{u}/1.jpg,\na,x,{u}/2.jpg,\n", "{serial}", [2, 3], "rows 2 and 3"),
        ("a,x,{u}/1.jpg,{u}/2.jpg\n", "{serial}", [2, 2], "Two images of row 2"),
        ("a,x,{u}/1.jpg,\nb,x,{u}/1.jpg,\n", "{digest}", [2, 3], "rows 2 and 3"),
        (
            "x" * 220 + "1,x,{u}/1.jpg,\n" + "x" * 220 + "2,x,{u}/2.jpg,\n",
            "{serial}",
            [2, 3],
            "row",
        ),
    ],
)
def test_two_images_of_one_name_are_refused_with_their_rows(
    rows: str, names: str, places: list[int], message: str
) -> None:
    with pytest.raises(intake.Refused, match=message) as refused:
        intake.accept(upload(rows.replace("{u}", U), names))
    assert (refused.value.status, refused.value.code) == (400, "names_collide")
    assert [error["row"] for error in refused.value.errors] == places
    assert not ProcessingRequest.objects.exists()
    assert not PendingUpload.objects.exists()


def test_the_doors_say_it(client: Client) -> None:
    """The API as a problem and in a dry run; the page at the option."""
    client.force_login(build.owner())
    rows = f"a,x,{U}/1.jpg,\nb,x,{U}/2.jpg,\n"

    def sent(address: str, **fields: str) -> Any:
        file = SimpleUploadedFile("products.csv", (HEAD + rows).encode(), "text/csv")
        return client.post(address, {"file": file, **fields})

    refused = sent("/api/upload", names="{name}")
    assert (refused.status_code, refused.json()["code"]) == (400, "names_collide")
    assert [error["row"] for error in refused.json()["errors"]] == [2, 3]
    dry = sent("/api/upload", names="{name}", dryRun="true").json()
    assert [one["code"] for one in dry["blockedBy"]] == ["names_collide"]
    unknown = sent("/api/upload", names="{sku}").json()
    assert unknown["errors"][0]["field"] == "names"
    for page in (sent("/inspect/", names="{name}"), sent("/", names="{name}")):
        assert "Images of rows 2 and 3 would get the same name" in page.content.decode()
    assert "There is no field {sku}" in sent("/", names="{sku}").content.decode()
    assert sent("/api/upload", names="{serial}").status_code == 202
