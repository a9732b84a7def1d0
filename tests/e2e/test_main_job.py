"""A CSV goes in, the same CSV with output URLs comes out; real workers, database and storage."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import subprocess
from collections import Counter

import psycopg
import pytest
from PIL import Image, ImageOps

from imageproc.faults import HTML_NOT_IMAGE, NOT_AN_IMAGE, NOT_FOUND
from imageproc.images.compress import Budget, Rendition, compress
from imageproc.images.job import MOST_SIBLINGS
from imageproc.images.presets import PRESETS
from tests.support import pictures
from tests.support.origin import Origin
from tests.support.servers.s3 import Bucket
from tests.support.servers.service import Service
from tests.support.sheet import sheet_of

pytestmark = pytest.mark.timeout(300)


def stored_files(service: Service, request_id: str) -> dict[str, bytes]:
    """Key → bytes of everything that the service has stored for a request."""
    if name := service.env.get("S3_BUCKET"):
        client = Bucket(name, service.env["S3_ENDPOINT_URL"]).client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=request_id)
        keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return {key: client.get_object(Bucket=name, Key=key)["Body"].read() for key in keys}
    root = service.folder / "data" / "files"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.glob(f"{request_id}/*")}


def test_photographs_come_back_small_upright_and_vouched_for(
    service: Service, origin: Origin, photos: dict[str, bytes]
) -> None:
    rows = []
    for number, (name, data) in enumerate(photos.items(), 1):
        origin.serve(f"/{name}", data, content_type="image/jpeg")
        rows.append([f"P{number:03}", f"Photo {number}", f"{origin.url}/{name}"])
    uploaded = sheet_of(rows)
    accepted = service.upload(uploaded)
    assert (accepted["totalProducts"], accepted["totalImages"]) == (len(rows), len(rows))

    told = service.finish(accepted["requestId"])

    assert (told["status"], told["progress"], told["failedImages"]) == ("COMPLETED", 100.0, 0)
    stored = stored_files(service, told["requestId"])
    output = list(csv.reader(io.StringIO(service.get(told["links"]["outputCsv"]).text)))
    assert [row[:3] for row in output] == list(csv.reader(io.StringIO(uploaded)))
    assert output[0][3:] == ["Output Image Urls", "Status", "Error"]
    for row, product, source in zip(output[1:], told["products"], photos.values(), strict=True):
        [image] = product["images"]
        assert row[3:] == [image["outputUrl"], "COMPLETED", ""]
        data = service.get(row[3]).content
        assert (len(data), hashlib.sha256(data).hexdigest()) == (
            image["outputSize"],
            image["sha256"],
        )
        [key] = [key for key in stored if stored[key] == data]
        assert key.startswith(f"{told['requestId']}/{row[0].lower()}-photo-")
        assert_catalogue_picture(data, source)
    assert told["bytesIn"] == sum(map(len, photos.values()))
    assert told["bytesOut"] == sum(p["images"][0]["outputSize"] for p in told["products"])


def assert_catalogue_picture(data: bytes, source: bytes) -> None:
    """At most 800 × 800, upright, sRGB, baseline 4:2:0 JPEG without metadata."""
    result = Image.open(io.BytesIO(data))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(source)))
    scale = min(800 / upright.width, 800 / upright.height, 1)
    expected = (round(upright.width * scale), round(upright.height * scale))
    assert (result.format, result.mode, result.size) == ("JPEG", "RGB", expected)
    assert result.layer[0][1:3] == (2, 2)  # type: ignore[attr-defined]
    assert not {"exif", "icc_profile", "progressive"} & set(result.info)
    small = (16, 16)
    reference = upright.convert("RGB").resize(small).tobytes()
    got = result.resize(small).tobytes()
    assert sum(abs(a - b) for a, b in zip(got, reference, strict=True)) / len(got) < 12


def test_one_bad_image_does_not_sink_its_product(service: Service, origin: Origin) -> None:
    origin.serve("/good.jpg", pictures.jpeg(1, (900, 600)))
    origin.serve("/text.jpg", b"just some words " * 50)
    urls = [f"{origin.url}{path}" for path in ("/good.jpg", "/status/404", "/html", "/text.jpg")]
    accepted = service.upload(sheet_of([["007", "Mixed; bag", ", ".join(urls)]]))
    told = service.finish(accepted["requestId"])

    assert (told["status"], told["completedImages"], told["failedImages"]) == ("COMPLETED", 1, 3)
    [product] = told["products"]
    assert (product["serialNumber"], product["status"]) == ("007", "PARTIAL")
    assert [image["error"] and image["error"]["code"] for image in product["images"]] == [
        None,
        "not_found",
        "html_not_image",
        "not_an_image",
    ]
    assert Counter({e["code"]: e["images"] for e in told["errors"]}) == {
        "not_found": 1,
        "html_not_image": 1,
        "not_an_image": 1,
    }
    [_, row] = list(csv.reader(io.StringIO(service.get(told["links"]["outputCsv"]).text)))
    output = product["images"][0]["outputUrl"]
    assert row[3] == f"{output},,,"
    assert row[4:] == [
        "PARTIAL",
        f"Image 2: {NOT_FOUND.sentence} "
        f"Image 3: {HTML_NOT_IMAGE.sentence} Image 4: {NOT_AN_IMAGE.sentence}",
    ]


def test_a_request_without_one_good_image_fails(service: Service, origin: Origin) -> None:
    accepted = service.upload(sheet_of([["1", "Gone", f"{origin.url}/status/410"]]))
    told = service.finish(accepted["requestId"])
    assert (told["status"], told["message"]) == (
        "FAILED",
        "None of the images could be processed.",
    )


def test_the_readme_commands(service: Service, origin: Origin) -> None:
    """curl, unchanged but for host and id."""
    origin.serve("/a.jpg", pictures.jpeg(1, (400, 300)))
    sample = service.folder / "sample.csv"
    sample.write_text(sheet_of([["1", "Shoe", f"{origin.url}/a.jpg"]]))
    upload = ["-X", "POST", "-F", f"csv=@{sample}", f"{service.address}/api/upload"]
    answer = subprocess.run(["curl", "-sS", *upload], capture_output=True, check=True, text=True)
    request_id = json.loads(answer.stdout)["requestId"]
    service.finish(request_id)
    status = ["curl", "-sS", f"{service.address}/api/status/{request_id}"]
    answer = subprocess.run(status, capture_output=True, check=True, text=True)
    assert json.loads(answer.stdout)["status"] == "COMPLETED"


@pytest.mark.parametrize(
    "many", [1_000, pytest.param(10_000, marks=pytest.mark.faults)], ids=["short", "long"]
)
def test_many_images_end_once_each(production_service: Service, origin: Origin, many: int) -> None:
    """Every row final, with the picture of its own link; the counters equal to a recount; every
    object there and nothing else."""
    service = production_service
    tiny = [pictures.jpeg(seed, (200, 200), 80) for seed in range(10)]
    for seed, data in enumerate(tiny):
        origin.serve(f"/{seed}.jpg", data, content_type="image/jpeg")
    products = [
        [str(n), f"Product {n}", " ".join(f"{origin.url}/{(n + k) % 10}.jpg" for k in range(4))]
        for n in range(many // 4)
    ]
    told = service.finish(service.upload(sheet_of(products))["requestId"], seconds=240)

    with psycopg.connect(service.env["DATABASE_URL"]) as connection:
        rows_of_images = connection.execute(
            "SELECT status, attempts, output_key, output_sha256, input_size, output_size, input_url"
            " FROM imageproc_productimage WHERE request_id = %s",
            [told["requestId"]],
        ).fetchall()
    assert Counter(row[:2] for row in rows_of_images) == {("COMPLETED", 1): many}
    assert (told["status"], told["completedImages"], told["failedImages"]) == (
        "COMPLETED",
        many,
        0,
    )
    assert told["bytesIn"] == sum(row[4] for row in rows_of_images)
    assert told["bytesOut"] == sum(row[5] for row in rows_of_images)
    stored = stored_files(service, told["requestId"])
    results = {key: data for key, data in stored.items() if not key.endswith(".csv")}
    assert {k: hashlib.sha256(d).hexdigest() for k, d in results.items()} == {
        row[2]: row[3] for row in rows_of_images
    }
    expected = {f"{origin.url}/{seed}.jpg": _sha256(data) for seed, data in enumerate(tiny)}
    assert {(row[6], row[3]) for row in rows_of_images} == set(expected.items())
    links = _links(service.get(told["links"]["outputCsv"]).text)
    shown = {link: hashlib.sha256(service.get(link).content).hexdigest() for _, link in links}
    assert len(links) == many
    assert all(shown[link] == expected[url] for url, link in links)
    # Rows of one link share an object, but for those beyond what one claim takes along.
    assert len(tiny) <= len(results) <= len(tiny) * (1 + many // MOST_SIBLINGS)


def _sha256(source: bytes) -> str:
    """Of the rendition that a request without options makes of ``source``."""
    rendition = compress(source, PRESETS["catalog"].recipe, Budget())
    assert isinstance(rendition, Rendition)
    return rendition.sha256


def _links(output: str) -> list[tuple[str, str]]:
    """(input URL, output URL) of every image of an output CSV."""
    rows = list(csv.reader(io.StringIO(output)))[1:]
    return [pair for row in rows for pair in zip(_split(row[2]), _split(row[3]), strict=True)]


def _split(cell: str) -> list[str]:
    return re.split(r"[,\s]+", cell.strip())
