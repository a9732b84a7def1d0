"""Which column is which: by the caller, by what was saved, by a platform's header, by the cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageproc.sheet import (
    Choice,
    LineError,
    Row,
    RowResult,
    Sheet,
    SheetFormat,
    Wanted,
    cells,
    plain,
    read,
    rows,
    write_output,
    write_rows,
)
from tests.sheet.sheets import URL

A, B, C = (f"https://cdn.example/{name}.jpg" for name in "abc")


def opened(content: bytes, wanted: Wanted | None = None) -> Sheet:
    return read(io.BytesIO(content), wanted=wanted)


def table(lines: Sequence[Sequence[str]], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(lines)
    return text.getvalue().encode()


def columns(form: SheetFormat | None) -> tuple[list[str], str | None, str | None, str, str]:
    assert form is not None
    names = form.header
    return (
        [names[n] for n in form.images],
        None if form.serial is None else names[form.serial],
        None if form.name is None else names[form.name],
        form.found_by,
        form.profile,
    )


# Other headers of these platforms: (platform, header, image columns).
VARIANTS = [
    ("Shopify", ["Title", "Product image URL"], [1]),
    ("Shopify", ["Title", "URL handle", "Image Src"], [2]),
    ("Shopify", ["Handle", "Variant SKU", "Variant Image"], [2]),
    ("WooCommerce", ["ID", "Typ", "Artikelnummer", "Name", "Veröffentlicht", "Bilder"], [5]),
    ("WooCommerce", ["ID", "Type", "UGS", "Nom", "Publié", "Images"], [5]),
    ("WooCommerce", ["ID", "Tipo", "SKU", "Nombre", "Publicado", "Imágenes"], [5]),
    ("WooCommerce", ["SKU", "Name", "Regular price", "Images"], [3]),
    ("WooCommerce", ["post_title", "post_name", "sku", "images"], [3]),
    ("Magento 2", ["sku", "store_view_code", "additional_images"], [2]),
    ("Magento 1", ["sku", "_store", "_attribute_set", "name", "image", "_media_image"], [4, 5]),
    ("PrestaShop", ["Enabled", "Name", "Reference", "Images URL"], [3]),
    ("eBay", ["Action(SiteID=Germany)", "CustomLabel", "*Titel", "PicURL"], [3]),
    ("Open Food Facts", ["code", "product_name_fr", "image_front_url"], [2]),
    ("Akeneo", ["uuid", "sku", "categories", "family", "name-en_US", "picture-en_US-web"], [5]),
    (
        "Akeneo",
        ["code", "family_variant", "categories", "variation_name-en_US", "front_image"],
        [4],
    ),
]

# (platform, delimiter, lines above the header, header, a row, the image columns, serial, name)
PLATFORMS = [
    (
        "Shopify",
        ",",
        [],
        [
            "Handle",
            "Title",
            "Body (HTML)",
            "Variant SKU",
            "Image Src",
            "Image Position",
            "Variant Image",
        ],
        ["red-shoe", "Red Shoe", "<p>x</p>", "S1", A, "1", B],
        ["Image Src", "Variant Image"],
        ("Handle", "Title"),
    ),
    (
        "Shopify",
        ",",
        [],
        [
            "Title",
            "URL handle",
            "Description",
            "SKU",
            "Product image URL",
            "Image position",
            "Variant image URL",
        ],
        ["Red Shoe", "red-shoe", "x", "S1", A, "1", A],
        ["Product image URL", "Variant image URL"],
        ("URL handle", "Title"),
    ),
    (
        "Matrixify",
        ",",
        [],
        ["ID", "Handle", "Command", "Title", "Image Command", "Image Src", "Variant Image"],
        ["1", "red-shoe", "MERGE", "Red Shoe", "MERGE", f"{A};{B}", ""],
        ["Image Src", "Variant Image"],
        ("Handle", "Title"),
    ),
    (
        "WooCommerce",
        ",",
        [],
        ["ID", "Type", "SKU", "Name", "Published", "Regular price", "Images", "Position"],
        ["7", "simple", "S1", "Red Shoe", "1", "9", f"{A}, {B}", "0"],
        ["Images"],
        ("SKU", "Name"),
    ),
    (
        "Google Merchant Center",
        "\t",
        [],
        ["id", "title", "description", "link", "image link", "additional image link", "price"],
        ["1", "Red Shoe", "x", "https://shop.example/red", A, f"{B},{C}", "9 EUR"],
        ["image link", "additional image link"],
        ("id", "title"),
    ),
    (
        "Amazon",
        "\t",
        [
            [
                "TemplateType=fptcustom",
                "Version=2023.1234",
                "The top 3 rows are for Amazon.com use only.",
            ],
            [
                "Seller SKU",
                "Product Name",
                "Main Image URL",
                "Other Image URL1",
                "Swatch Image URL",
            ],
        ],
        ["item_sku", "item_name", "main_image_url", "other_image_url1", "swatch_image_url"],
        ["S1", "Red Shoe", A, B, A],
        ["main_image_url", "other_image_url1", "swatch_image_url"],
        ("item_sku", "item_name"),
    ),
    (
        "Amazon",
        "\t",
        [["Settings", "x", "", ""], ["SKU", "Item Name", "Main Image URL", "Other Image URL"]],
        [
            "contribution_sku#1.value",
            "item_name[marketplace_id=A1][language_tag=en_US]#1.value",
            "main_product_image_locator[marketplace_id=A1]#1.media_location",
            "other_product_image_locator_1[marketplace_id=A1]#1.media_location",
        ],
        ["S1", "Red Shoe", A, B],
        [
            "main_product_image_locator[marketplace_id=A1]#1.media_location",
            "other_product_image_locator_1[marketplace_id=A1]#1.media_location",
        ],
        ("contribution_sku#1.value", "item_name[marketplace_id=A1][language_tag=en_US]#1.value"),
    ),
    (
        "Magento 2",
        ",",
        [],
        ["sku", "name", "base_image", "small_image", "thumbnail_image", "additional_images"],
        ["S1", "Red Shoe", A, A, A, f"{B},{C}"],
        ["base_image", "small_image", "thumbnail_image", "additional_images"],
        ("sku", "name"),
    ),
    (
        "PrestaShop",
        ";",
        [],
        ["Product ID", "Active (0/1)", "Name *", "Reference #", "Image URLs (x,y,z...)", "Delete"],
        ["1", "1", "Red Shoe", "R1", f"{A},{B}", "0"],
        ["Image URLs (x,y,z...)"],
        ("Product ID", "Name *"),
    ),
    (
        "eBay",
        ",",
        [["#INFO", "Version=1.0.0", "Template=fx_category_template_EBAY_US"]],
        ["*Action(SiteID=US|Currency=USD)", "CustomLabel", "*Title", "PicURL", "*Format"],
        ["Add", "S1", "Red Shoe", f"{A}|{B}", "FixedPrice"],
        ["PicURL"],
        ("CustomLabel", "*Title"),
    ),
    (
        "BigCommerce",
        ",",
        [],
        [
            "Item Type",
            "Product ID",
            "Product Name",
            "Product Code/SKU",
            "Product Image File - 1",
            "Product Image File - 2",
        ],
        ["Product", "1", "Red Shoe", "S1", A, B],
        ["Product Image File - 1", "Product Image File - 2"],
        ("Product Code/SKU", "Product Name"),
    ),
    (
        "BigCommerce",
        ",",
        [],
        ["Item", "ID", "Name", "SKU", "Image URL (Import)", "Internal Image URL (Export)"],
        ["Product", "1", "Red Shoe", "S1", "", A],
        ["Image URL (Import)", "Internal Image URL (Export)"],
        ("SKU", "Name"),
    ),
    (
        "Etsy",
        ",",
        [],
        ["TITLE", "DESCRIPTION", "PRICE", "CURRENCY_CODE", "QUANTITY", "IMAGE1", "IMAGE2", "SKU"],
        ["Red Shoe", "x", "9", "EUR", "1", A, B, "S1"],
        ["IMAGE1", "IMAGE2"],
        ("SKU", "TITLE"),
    ),
    (
        "Open Food Facts",
        "\t",
        [],
        ["code", "url", "product_name", "image_url", "image_small_url", "image_nutrition_url"],
        ["4001", "https://off.example/4001", "Oats", A, B, C],
        ["image_url", "image_nutrition_url"],
        ("code", "product_name"),
    ),
    (
        "Akeneo",
        ";",
        [],
        ["sku", "categories", "enabled", "family", "groups", "name-en_US", "picture", "image_1"],
        ["S1", "shoes", "1", "shoe", "", "Red Shoe", A, B],
        ["picture", "image_1"],
        ("sku", "name-en_US"),
    ),
    (
        "Wix",
        ",",
        [],
        ["handleId", "fieldType", "name", "description", "productImageUrl", "sku"],
        ["p1", "Product", "Red Shoe", "x", f"{A};{B}", "S1"],
        ["productImageUrl"],
        ("handleId", "name"),
    ),
    (
        "Squarespace",
        ",",
        [],
        ["Product ID [Non Editable]", "Title", "SKU", "Hosted Image URLs"],
        ["1", "Red Shoe", "S1", f"{A} {B}"],
        ["Hosted Image URLs"],
        ("SKU", "Title"),
    ),
]


@pytest.mark.parametrize(
    ("platform", "delimiter", "above", "header", "row", "images", "others"), PLATFORMS
)
def test_a_platforms_file_is_read_and_given_back_ready_to_import(
    platform: str,
    delimiter: str,
    above: list[list[str]],
    header: list[str],
    row: list[str],
    images: list[str],
    others: tuple[str, str],
) -> None:
    bare = ["" for _ in header]
    bare[0] = "second"
    content = table([*above, header, row, bare], delimiter)
    sheet = opened(content)
    found = list(sheet)
    assert columns(sheet.format) == (images, *others, "profile", platform)
    assert sheet.format is not None
    assert all(isinstance(item, Row) for item in found)
    assert (sheet.summary.rows, sheet.summary.imageless_rows) == (2, 1)
    links = [url for name in images for url in row[header.index(name)].replace("|", ",").split(",")]
    expected = dict.fromkeys(
        url.strip() for link in links for url in link.replace(";", " ").split() if url.strip()
    )
    first = found[0]
    assert isinstance(first, Row)
    assert first.urls == tuple(expected)

    new = {url: f"https://out.example/{n}.jpg" for n, url in enumerate(expected)}
    outcomes = [
        (item.cells, RowResult([new[url] for url in item.urls], "DONE", "", item.places))
        for item in found
        if isinstance(item, Row)
    ]
    replaced = b"".join(write_output(sheet.format, outcomes, replace=True, status=False))
    text = content.decode()
    for url in expected:
        text = text.replace(url, new[url])
    assert list(csv.reader(io.StringIO(replaced.decode()), delimiter=delimiter)) == list(
        csv.reader(io.StringIO(text), delimiter=delimiter)
    )
    again = opened(replaced)
    assert again.validate().ok
    assert columns(again.format)[-1] == platform

    appended = b"".join(write_output(sheet.format, outcomes))
    third = opened(appended)
    assert third.validate().ok
    assert columns(third.format) == (images, *others, "profile", platform)
    assert third.summary.images == len(expected)


def test_paths_need_a_base_address() -> None:
    content = table(
        [
            ["sku", "name", "base_image", "small_image", "additional_images"],
            ["S1", "Shoe", "/a/1.jpg", "/a/1.jpg", "/a/2.jpg,/a/ü.jpg"],
            ["S2", "Hat", A, "", ""],
        ]
    )
    sheet = opened(content)
    errors = [item for item in sheet if isinstance(item, LineError)]
    assert {(error.line, error.code) for error in errors} == {(2, "url_relative")}
    sheet = opened(content, Wanted(base="https://shop.example/media/catalog/product/"))
    first, second = (item for item in sheet if isinstance(item, Row))
    stem = "https://shop.example/media/catalog/product/a"
    assert first.urls == (f"{stem}/1.jpg", f"{stem}/2.jpg", f"{stem}/%C3%BC.jpg")
    assert first.places == ((0,), (0,), (1, 2))
    assert second.urls == (A,)
    assert sheet.format is not None
    assert list(rows(io.BytesIO(content), sheet.format)) == [first, second]
    outcome = RowResult(["X", "", "Z"], "PARTIAL", "", first.places)
    replaced = b"".join(
        write_output(sheet.format, [(first.cells, outcome)], replace=True, status=False)
    )
    assert replaced.splitlines()[1] == b'S1,Shoe,X,X,"/a/2.jpg,Z"'


def test_the_callers_choice_comes_first_then_the_saved_one() -> None:
    header = ["Handle", "Title", "Image Src", "Photo link"]
    content = table([header, ["h", "t", A, B]])
    saved = Choice(("Photo link",), "Title", "")
    asked: list[tuple[str, ...]] = []

    def remembered(names: Sequence[str]) -> Choice | None:
        asked.append(tuple(names))
        return saved if list(map(plain, names)) == list(map(plain, header)) else None

    caller = Wanted(Choice(("photo_link", "Image Src"), "Handle"), remembered)
    assert columns(opened(content, caller).format) == (
        ["Photo link", "Image Src"],
        "Handle",
        None,
        "caller",
        "",
    )
    assert asked == []
    assert columns(opened(content, Wanted(saved=remembered)).format)[:4] == (
        ["Photo link"],
        "Title",
        None,
        "saved",
    )
    wrong = opened(content, Wanted(Choice(("Picture",), "Handle", "Nome"))).validate().errors[0]
    assert (wrong.code, wrong.column) == ("column_missing", "Picture, Nome")


@pytest.mark.parametrize(
    ("lines", "images", "serial", "name"),
    [
        ([["Art.", "Foto"], ["1", A], ["2", ""], ["3", B]], ["Foto"], None, None),
        ([["SKU", "Name", "URL", "Bild 1", "Bild 2"], ["1", "x", "https://s.example/1", A, B]],
         ["Bild 1", "Bild 2"], "SKU", "Name"),
        ([["id", "link"], ["1", "https://s.example/render?n=1"]], ["link"], "id", None),
        ([["Sale"], ["SKU", "Link"], ["1", A], ["2", B]], ["Link"], "SKU", None),
    ],
)  # fmt: skip
def test_an_unknown_header_is_read_by_what_its_cells_hold(
    lines: list[list[str]], images: list[str], serial: str | None, name: str | None
) -> None:
    assert columns(opened(table(lines)).format)[:4] == (images, serial, name, "content")


def test_nothing_is_guessed_where_there_is_no_link_or_no_header() -> None:
    for lines in (
        [["a", "b"], ["1", "2"]],
        [["1", A], ["2", B]],
        [["a", "b"], [A, "x"], ["y", "z"]],
    ):
        found = opened(table(lines)).validate()
        assert not found.ok or found.images == 1


def test_errors_name_the_row_that_a_spreadsheet_shows() -> None:
    content = (
        "Price list\n\nS. No.,Product Name,Input Image Urls\n"
        f'1,"two\nlines",{URL}\n\n2,Ink,nothing\n'
    )
    (error,) = [item for item in opened(content.encode()) if isinstance(item, LineError)]
    assert (error.line, error.row) == (7, 6)


# Property: rows in = rows out + rows told, for any mixture.
CELL = st.sampled_from(["", " ", A, B, f"{A},{B}", f"{A} {A}", "nonsense", "ftp://x/y", f"{A}{B}"])
TEXT = st.text(st.sampled_from("ab=+-'\"\n;,| é"), max_size=6)
RECORD = st.one_of(
    st.tuples(TEXT, TEXT, CELL, CELL).map(list),
    st.lists(TEXT, max_size=7),
    st.just(["Handle", "Title", "Image Src", "Variant Image"]),
)


@given(st.lists(RECORD, max_size=12))
@settings(deadline=None, max_examples=300)
def test_rows_in_are_rows_out_and_rows_told(records: list[list[str]]) -> None:
    content = table([["Handle", "Title", "Image Src", "Variant Image"], *records])
    sheet = opened(content)
    found = list(sheet)
    summary, form = sheet.summary, sheet.format
    assert form is not None
    assert (
        summary.rows + summary.bad_rows + summary.blank_rows + summary.headers
        == len(list(csv.reader(io.StringIO(content.decode(), newline="")))) - 1
    )
    bad = frozenset(item.line for item in found if isinstance(item, LineError))
    good = [item for item in found if isinstance(item, Row)]
    if not summary.usable:
        return
    assert len(bad) == summary.bad_rows
    assert list(rows(io.BytesIO(content), form, 0, bad)) == good
    assert list(rows(io.BytesIO(content), form, 1, bad)) == good[1:]
    every = list(cells(io.BytesIO(content), form, bad))
    assert [line for line, _ in every] == sorted(bad | {row.line for row in good})
    done = {row.line: RowResult(["o"] * len(row.urls), "X", "", row.places) for row in good}
    output = [(row, done.get(line, RowResult((), "S", "", ((), ())))) for line, row in every]
    for replace in (False, True):
        text = b"".join(write_output(form, output, replace=replace)).decode()
        written = list(csv.reader(io.StringIO(text, newline="")))
        assert len(written) == summary.rows + summary.bad_rows + 1
    told = b"".join(write_rows(form, [(row, None) for line, row in every if line in bad]))
    assert opened(told).validate().bad_rows == summary.bad_rows


@pytest.mark.parametrize(("platform", "header", "images"), VARIANTS)
def test_variants_of_a_header(platform: str, header: list[str], images: list[int]) -> None:
    row = [A if n in images else "x" for n in range(len(header))]
    sheet = opened(table([header, row]))
    (found,) = sheet
    assert isinstance(found, Row)
    assert sheet.format
    assert (sheet.format.profile, list(sheet.format.images)) == (platform, images)


def test_no_selection_is_no_picture() -> None:
    lines = [
        ["sku", "base_image", "small_image"],
        ["S1", A, "no_selection"],
        ["S2", "no_selection", ""],
    ]
    found = [row for row in opened(table(lines)) if isinstance(row, Row)]
    assert [row.urls for row in found] == [(A,), ()]
