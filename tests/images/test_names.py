"""The keys of objects: they stand in buckets and databases, so they never change by accident."""

from __future__ import annotations

from uuid import UUID

import pytest

from imageproc.images import names
from imageproc.images.patterns import Pattern

REQUEST = UUID("018bcfe5-6800-7000-8000-000000000001")
IMAGE = UUID("018bcfe5-6800-7000-8000-0000deadbeef")
SHA256 = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("serial", "product", "stem"),
    [
        ("P001", "Red Shoe", "p001-red-shoe-2-deadbeef"),
        ("", "", "row-product-2-deadbeef"),
        ("../..", "a/b\\c", "row-abc-2-deadbeef"),
        ("椅子", "Stühle", "row-stuhle-2-deadbeef"),
        ("x" * 50, "y" * 70, f"{'x' * 40}-{'y' * 60}-2-deadbeef"),
    ],
)
def test_the_keys_of_an_image(serial: str, product: str, stem: str) -> None:
    found = names.image_stem(REQUEST, IMAGE, serial_number=serial, product_name=product, position=2)
    assert found == f"{REQUEST}/{stem}"
    assert names.rendition_key(found, SHA256, "jpg") == f"{REQUEST}/{stem}-01234567.jpg"
    assert names.original_key(found, SHA256, "png") == f"{REQUEST}/{stem}-original-01234567.png"


def test_the_keys_of_an_image_with_a_name() -> None:
    stem = names.named_stem(REQUEST, IMAGE)
    name = Pattern("{serial}-{digest}").stem(serial="P 1", name="", position=1, column="", row=1)
    assert names.rendition_key(stem, SHA256, "jpg", name) == (
        f"{REQUEST}/deadbeef-01234567/P-1-0123456789abcdef.jpg"
    )
    assert names.original_key(stem, SHA256, "png", "Pen") == (
        f"{REQUEST}/deadbeef-original-01234567/Pen.png"
    )


def test_the_keys_of_a_request() -> None:
    assert names.input_key(REQUEST) == f"{REQUEST}/input.csv"
    assert names.output_key(REQUEST, 0) == f"{REQUEST}/output.csv"
    assert names.output_key(REQUEST, 2) == f"{REQUEST}/output-2.csv"
    assert names.input_key(REQUEST).startswith(names.request_prefix(REQUEST))
