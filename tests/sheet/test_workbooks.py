"""Excel workbooks: read as they are shown, given back as they were beside the new columns."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font

from imageproc.sheet import (
    LineError,
    Row,
    RowResult,
    Sheet,
    Wanted,
    read,
    rows,
    write_output,
    write_workbook_output,
)
from imageproc.sheet.shown import shown
from tests.conftest import missing
from tests.sheet.sheets import URL

HEADER = ["SKU", "Title", "Price", "Since", "Image Src", "Total"]
PARTS = ("[Content_Types].xml", "xl/workbook.xml", "xl/_rels/workbook.xml.rels")


def saved(book: Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def a_book(number: int = 3) -> Workbook:
    """Title rows that are merged, a bold header, typed cells, a hidden column, a formula and a
    second worksheet."""
    book = Workbook()
    sheet: Any = book.active
    sheet.title = "Products"
    sheet["A1"] = "Price list"
    sheet.merge_cells("A1:C1")
    sheet.append([])
    sheet.append(HEADER)
    for cell in sheet[3]:
        cell.font = Font(bold=True)
    for n in range(1, number + 1):
        url = f"https://cdn.example.com/{n}.jpg"
        sheet.append([n, f"Pen {n}", 9.9, datetime(2026, 3, n), url, "=C4*2"])
        sheet.cell(n + 3, 1).number_format = "00000"
        sheet.cell(n + 3, 3).number_format = "0.00"
    sheet.column_dimensions["A"].width = 31
    sheet.column_dimensions["C"].hidden = True
    book.create_sheet("Notes")["A1"] = "=SUM(Products!C4:C6)"
    return book


def opened(content: bytes, **wanted: Any) -> Sheet:
    return read(io.BytesIO(content), wanted=Wanted(**wanted))


def the_rows(sheet: Sheet) -> list[Row]:
    found = list(sheet)
    assert [item for item in found if isinstance(item, LineError)] == []
    return [item for item in found if isinstance(item, Row)]


def refused(content: bytes, **wanted: Any) -> LineError:
    (error,) = opened(content, **wanted)
    assert isinstance(error, LineError)
    return error


def output_of(content: bytes, **form: bool) -> bytes:
    sheet = opened(content)
    done = [
        (row.line, row.cells, RowResult([f"https://out.example/{row.line}.jpg"], "COMPLETED"))
        for row in the_rows(sheet)
    ]
    assert sheet.format
    return b"".join(write_workbook_output(io.BytesIO(content), sheet.format, done, **form))


def values(content: bytes, name: str) -> list[list[Any]]:
    sheet = load_workbook(io.BytesIO(content))[name]
    return [list(row) for row in sheet.iter_rows(values_only=True)]


def test_cells_are_read_as_they_are_shown() -> None:
    sheet = opened(saved(a_book()))
    first, *_, last = the_rows(sheet)
    assert sheet.format
    assert (sheet.format.worksheet, sheet.format.head_rows, sheet.format.serial) == (
        *("Products", 3),
        0,
    )
    assert first.cells == ["00001", "Pen 1", "9.90", "2026-03-01 0:00:00", first.urls[0], ""]
    assert (first.line, last.line, last.urls) == (4, 6, ("https://cdn.example.com/3.jpg",))
    again = rows(io.BytesIO(saved(a_book())), sheet.format, skip=1)
    assert [row.serial_number for row in again] == ["00002", "00003"]


def test_the_same_workbook_comes_back_with_new_columns() -> None:
    content = saved(a_book())
    given, before = output_of(content), values(content, "Products")
    after = values(given, "Products")
    assert [row[:6] for row in after] == before
    assert [row[6:] for row in after] == [
        [None, None, None],
        [None, None, None],
        ["Output Image Urls", "Status", "Error"],
        *([f"https://out.example/{n}.jpg", "COMPLETED", None] for n in (4, 5, 6)),
    ]
    assert values(given, "Notes") == values(content, "Notes")
    sheet = load_workbook(io.BytesIO(given))["Products"]
    assert sheet.column_dimensions["A"].width == 31
    assert sheet.column_dimensions["C"].hidden
    assert [str(one) for one in sheet.merged_cells.ranges] == ["A1:C1"]
    assert sheet["H3"].font.b
    assert sheet["C4"].number_format == "0.00"
    # A workbook that was given back before has the columns already.
    assert values(output_of(given), "Products") == after


def test_replaced_links_keep_the_rest_of_their_cells() -> None:
    book = a_book()
    sheet: Any = book["Products"]
    sheet["E5"].font = Font(italic=True)
    content = saved(book)
    given = output_of(content, replace=True, status=False)
    expected = values(content, "Products")
    for n, row in enumerate(expected[3:], 4):
        row[4] = f"https://out.example/{n}.jpg"
    assert values(given, "Products") == expected
    assert load_workbook(io.BytesIO(given))["Products"]["E5"].font.i


def test_a_workbook_as_csv() -> None:
    sheet = opened(saved(a_book(1)))
    (row,) = the_rows(sheet)
    assert sheet.format
    text = b"".join(write_output(sheet.format, [(row.cells, RowResult(["x"], "DONE"))])).decode()
    assert text == (
        "\ufeffPrice list\r\n\r\nSKU,Title,Price,Since,Image Src,Total,Output Image Urls,Status,"
        "Error\r\n00001,Pen 1,9.90,2026-03-01 0:00:00,https://cdn.example.com/1.jpg,,x,DONE,\r\n"
    )


def test_columns_of_several_images_and_rows_in_any_form() -> None:
    """Cells without a reference, a prefix, shared strings, spans, a row without cells."""
    book = Workbook()
    sheet: Any = book.active
    sheet.append(["sku", "base_image", "small_image", "own"])
    sheet.append(["S1", URL, URL, "x"])
    sheet.append(["S2", "", f"{URL},{URL}?2", "y"])
    content = edited(saved(book), "xl/worksheets/sheet1.xml", _awkward)
    found = opened(content)
    done = [
        (
            row.line,
            row.cells,
            RowResult([f"o{n}" for n in range(len(row.urls))], "DONE", "", row.places),
        )
        for row in the_rows(found)
    ]
    assert found.format
    given = b"".join(write_workbook_output(io.BytesIO(content), found.format, done))
    assert [row[4:] for row in values(given, "Sheet")] == [
        ["Output base_image", "Output small_image", "Status", "Error"],
        ["o0", "o0", "DONE", None],
        [None, "o0,o1", "DONE", None],
    ]
    assert b"spans" not in zipfile.ZipFile(io.BytesIO(given)).read("xl/worksheets/sheet1.xml")


def _awkward(xml: bytes) -> bytes:
    xml = re.sub(rb'<c r="\w+"', b"<c", xml).replace(b"<row ", b'<row spans="1:4" ')
    xml = re.sub(rb"<(/?)(row|c|v|is|t|sheetData)\b", rb"<\1x:\2", xml)
    return xml.replace(b"<worksheet xmlns=", b"<worksheet xmlns:x=%b xmlns=" % _NAMESPACE)


_NAMESPACE = b'"http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def edited(content: bytes, name: str, edit: Any) -> bytes:
    out = io.BytesIO()
    source = zipfile.ZipFile(io.BytesIO(content))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for one in source.namelist():
            data = source.read(one)
            target.writestr(one, edit(data) if one == name else data)
    return out.getvalue()


def test_the_first_worksheet_that_is_shown_or_the_one_named() -> None:
    book = a_book()
    hidden = book.create_sheet("Hidden", 0)
    hidden.sheet_state = "hidden"
    hidden.append(["Image Src"])
    hidden.append([URL])
    book.active = 1
    content = saved(book)
    assert len(the_rows(opened(content))) == 3
    assert [row.urls for row in the_rows(opened(content, worksheet="Hidden"))] == [(URL,)]
    error = refused(content, worksheet="Pens")
    assert (error.code, error.value) == ("worksheet_missing", "Pens")
    assert error.message.endswith("It has: Hidden, Products, Notes.")


def packed(parts: dict[str, bytes], base: bytes | None = None) -> bytes:
    out = io.BytesIO()
    source = zipfile.ZipFile(io.BytesIO(base or saved(a_book(1))))
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in source.namelist():
            if name not in parts:
                archive.writestr(name, source.read(name))
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
ROW = b'<worksheet xmlns=%b><sheetData><row r="1">%%b</row></sheetData></worksheet>' % _NAMESPACE
CELLS = "".join(
    f"<c t='inlineStr'><is><t>{text}</t></is></c>" for text in ("SKU", "Image URL")
).encode()


def _far(row: bytes) -> bytes:
    """A header and, far below it, an empty row."""
    return ROW.replace(b"</row>", b'</row><row r="%b"><c/></row>' % row) % CELLS


ENTITY = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


def an_archive(**parts: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (packed({"xl/media/image1.png": bytes(1 << 26)}), "workbook_too_large"),
        (packed({SHEET: ROW % (b'<c r="A1"/>' * 1_000_000)}), "too_many_columns"),
        (
            packed({SHEET: ENTITY + ROW % b"<c t='inlineStr'><is><t>&e;</t></is></c>"}),
            "workbook_unsafe",
        ),
        (packed({"xl/sharedStrings.xml": ENTITY}), "workbook_unsafe"),
        (packed({SHEET: _far(b"2000000000")}), "too_many_rows"),
        (packed({SHEET: _far(b"1001")}), "no_rows"),
        (packed({SHEET: b"<worksheet"}), "workbook_damaged"),
        (saved(a_book())[:-200], "workbook_damaged"),
        (b"PK\x03\x04" + bytes(100), "workbook_damaged"),
        (an_archive(a=b"x"), "file_is_archive"),
        (an_archive(mimetype=b"application/vnd.oasis.opendocument.spreadsheet"), "file_is_ods"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_workbook_or_would_cost_too_much_is_refused_at_once(
    content: bytes, code: str
) -> None:
    began = time.process_time()
    error = refused(content)
    assert error.code == code
    assert error.message.isascii()
    assert time.process_time() - began < 10  # a bomb would take minutes


@pytest.mark.parametrize(
    ("value", "number_format", "text"),
    [
        (123, "00000", "00123"),
        (4006381333931, "General", "4006381333931"),
        (12.5, "0.00", "12.50"),
        (1234.5, "#,##0.00", "1,234.50"),
        (0.15, "0%", "15%"),
        (1234, "000-000", "001-234"),
        (5, '"SKU-"0000', "SKU-0005"),
        (9.99, "[$€-407] #,##0.00", "€ 9.99"),
        (-3, "0;[Red](0)", "(3)"),
        (-3.456, "0.0", "-3.5"),
        (1.0, "General", "1"),
        (0.1, "General", "0.1"),
        (12345678, "0.00E+00", "1.23E+7"),
        (1.5, "# ?/?", "1.5"),
        (3, "@", "3"),
        (True, "General", "TRUE"),
        (datetime(2026, 3, 31), "mm-dd-yy", "2026-03-31"),
        (datetime(2026, 3, 31, 14, 5), "d/m/yyyy h:mm AM/PM", "31/3/2026 2:05 PM"),
        (datetime(2026, 3, 1), "d-mmm-yy", "1-Mar-26"),
        (datetime(2026, 3, 1), 'dd"."mm"."yyyy', "01.03.2026"),
    ],
)
def test_number_formats(value: object, number_format: str, text: str) -> None:
    assert shown(value, number_format) == text


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ('<row r="3"><c r="XFD3"/></row>', "too_many_columns"),
        ('<row r="1048576"><c r="A1048576" s="0"/></row>', ""),
    ],
)
def test_a_cell_far_away(rows: str, code: str) -> None:
    """Whoever formats a whole worksheet leaves one at its end. Cells between are never made."""
    book = Workbook()
    for row in (["sku", "image"], ["S1", URL]):
        book["Sheet"].append(row)
    far = edited(
        saved(book),
        "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace(b"</sheetData>", rows.encode() + b"</sheetData>"),
    )
    found = opened(far).validate()
    assert [error.code for error in found.errors] == ([code] if code else [])
    assert (found.rows, found.blank_rows) == (1, 0)


def test_libreoffice_opens_what_comes_back(tmp_path: Path) -> None:
    """Every cell is as it was, formulas worked out, beside the new columns."""
    if not shutil.which("soffice"):
        missing("libreoffice-calc: run tests/support/servers/install-system-packages")
    (tmp_path / "in.xlsx").write_bytes(content := saved(a_book()))
    (tmp_path / "out.xlsx").write_bytes(output_of(content))
    command: Sequence[str] = ["soffice", "--headless", "--convert-to", "csv", "in.xlsx", "out.xlsx"]
    home = f"-env:UserInstallation=file://{tmp_path}/home"
    subprocess.run([*command, home], cwd=tmp_path, check=True, timeout=120, capture_output=True)
    before, after = (
        list(csv.reader((tmp_path / name).read_text().splitlines()))
        for name in ("in.csv", "out.csv")
    )
    assert [row[:6] for row in after] == [row[:6] for row in before]
    assert before[3][5] == "19.8"
    assert [row[6:] for row in after] == [
        *([["", "", ""]] * 2),
        ["Output Image Urls", "Status", "Error"],
        *([f"https://out.example/{n}.jpg", "COMPLETED", ""] for n in (4, 5, 6)),
    ]
