"""What is refused, with the exact line, column, value, code and sentence."""

from __future__ import annotations

import codecs
import gzip

import pytest

from imageproc.sheet import LineError, SheetLimits
from tests.sheet.sheets import URL, error, errors, opened, sheet_of

# gzip writes the time of day into its header: without mtime two processes would name a test apart,
# and pytest-xdist runs nothing then.
ONE_PEN = sheet_of(f"1,Pen,{URL}\n")


@pytest.mark.parametrize(
    ("content", "code", "kind"),
    [
        (b"%PDF-1.7\n", "file_is_pdf", "a PDF document"),
        (gzip.compress(ONE_PEN, mtime=0), "file_is_archive", "a gzip archive"),
        (b"7z\xbc\xaf\x27\x1c..", "file_is_archive", "a 7-Zip archive"),
        (b"\x89PNG\r\n\x1a\n....", "file_is_image", "a PNG image"),
        (b"\xff\xd8\xff\xe0....", "file_is_image", "a JPEG image"),
        (b"\n <!DOCTYPE html><title>Sign in</title>", "file_is_html", "a web page or XML"),
        (codecs.BOM_UTF8 + b"<?xml version='1.0'?>", "file_is_html", "a web page or XML"),
    ],
)
def test_other_files_named_csv(content: bytes, code: str, kind: str) -> None:
    message = f"The file is {kind}, not CSV text. Save the sheet as CSV UTF-8."
    assert error(content) == LineError(1, "", "", code, message)
    assert opened(content).format is None


def test_an_old_workbook_is_named_with_its_remedy() -> None:
    found = error(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert found.code == "file_is_xls"
    assert found.message == (
        "The file is an old or protected Excel workbook, not CSV text. "
        "Save it without a password as an Excel workbook (.xlsx) or as CSV UTF-8."
    )


@pytest.mark.parametrize(
    ("content", "line", "code"),
    [
        (b"", 1, "empty_file"),
        (b"\n\r\n,,,\n", 1, "empty_file"),
        (codecs.BOM_UTF8, 1, "empty_file"),
        (sheet_of(""), 1, "no_rows"),
        (sheet_of("\n,,\n"), 1, "no_rows"),
        # NUL, also as UTF-16 without a byte order mark and as UTF-32
        (sheet_of(f"1,Pen,{URL}\n2,I\0nk,{URL}\n"), 3, "nul_character"),
        (sheet_of(f"1,Pen,{URL}\n").decode().encode("utf-16-le"), 1, "nul_character"),
        (sheet_of(f"1,Pen,{URL}\n").decode().encode("utf-32"), 1, "nul_character"),
        # in no encoding; half a character of UTF-16; UTF-8 only by its mark
        (sheet_of("1,Pen,x\n") + bytes(range(128, 256)), 3, "encoding_unknown"),
        (codecs.BOM_UTF16_LE + "S. No.".encode("utf-16-le") + b"x", 1, "encoding_unknown"),
        (codecs.BOM_UTF8 + sheet_of("1,\xe9,x").decode().encode("cp1252"), 2, "stray_byte"),
        # quoting
        (sheet_of(f'1,"Pen"s,{URL}\n'), 2, "quoting_broken"),
        (sheet_of(f'1,Pen,{URL}\n2,"Ink,{URL}\n3,Nib,{URL}\n'), 3, "quoting_broken"),
        (sheet_of(f'1,Pen,{URL}\n2,"'), 3, "quoting_broken"),
        (b'"S. No.,Product Name,Input Image Urls\n', 1, "quoting_broken"),
        # without end
        (sheet_of(f"1,Pen,{URL}\n2," + "x" * 140_000 + ",y\n"), 3, "cell_too_long"),
        (sheet_of("1," + "x," * 600_000), 2, "record_too_long"),
        (sheet_of("1" + ',"\n"' * 300_000), 2, "record_too_long"),
        (b"x" * 1_100_000, 1, "record_too_long"),
    ],
)
def test_files_that_cannot_be_read(content: bytes, line: int, code: str) -> None:
    found = errors(content)[-1]
    assert (found.line, found.code) == (line, code)
    assert found.message.isascii()
    assert found.message.endswith(".")


def test_an_inch_sign_inside_a_cell_is_no_quoting() -> None:
    content = f'S. No.;Width 5";Product Name;Input Image Urls\n1;5";Pen 3" long;{URL}\n'.encode()
    assert opened(content).validate().errors == []


def test_missing_columns_are_named_and_what_was_seen_is_shown() -> None:
    assert error(b"Serial,Item,Link\n1,2,3\n") == LineError(
        1,
        "Input Image Urls",
        "Serial, Item, Link",
        "column_missing",
        "No column of the header is known to hold image links. Say which one does.",
    )


def test_a_file_without_header_is_refused_on_its_first_line_of_text() -> None:
    found = error(f"\n\n1,Pen,{URL}\n".encode())
    assert (found.line, found.code, found.value) == (3, "column_missing", f"1, Pen, {URL}")


def test_doubled_columns_are_named() -> None:
    assert error(b"S. No.,Product,Image Urls,product_name\n") == LineError(
        1,
        "Product Name",
        "S. No., Product, Image Urls, product_name",
        "column_duplicate",
        "The header names the column Product Name more than once. Keep one of them.",
    )


def test_every_error_of_every_row_is_reported_with_the_headers_own_names() -> None:
    content = sheet_of(
        f",Pen,{URL}\n2, ,{URL}\n3,Ink, \n4,Ink,x\n5\n6,a,b,c\n7,Nib,{URL}\n,,x\n{'9' * 256},"
        f"{'n' * 1001},{URL}\n",
        header="SNo,Product,Image Urls\n",
    )
    not_http = "This is not a full http:// or https:// link."
    sheet = opened(content)
    found = [item for item in sheet if isinstance(item, LineError)]
    assert [item.row for item in found] == [2, 3, 4, 5, 6, 7, 9, 9, 9, 10, 10]
    assert [item._replace(row=0) for item in found] == [
        LineError(2, "SNo", "", "serial_missing", "The serial number is missing."),
        LineError(3, "Product", "", "name_missing", "The product name is missing."),
        LineError(4, "Image Urls", "", "url_missing", "There is no image link."),
        LineError(5, "Image Urls", "x", "url_scheme", not_http),
        LineError(6, "", "5", "too_few_cells", "This row has 1 cells, the header has 3."),
        LineError(
            7,
            "",
            "6, a, b, c",
            "too_many_cells",
            "This row has 4 cells, the header has 3. "
            "Put a cell that contains the delimiter in double quotes.",
        ),
        LineError(9, "SNo", "", "serial_missing", "The serial number is missing."),
        LineError(9, "Product", "", "name_missing", "The product name is missing."),
        LineError(9, "Image Urls", "x", "url_scheme", not_http),
        LineError(
            10,
            "SNo",
            "9" * 200,
            "cell_too_long",
            "The serial number is longer than 255 characters.",
        ),
        LineError(
            10,
            "Product",
            "n" * 200,
            "cell_too_long",
            "The product name is longer than 1000 characters.",
        ),
    ]
    summary = sheet.summary
    assert (summary.rows, summary.bad_rows, summary.blank_rows) == (1, 8, 0)
    assert not summary.ok


def test_errors_before_the_point_where_reading_ends_are_reported_too() -> None:
    content = sheet_of(f'1,,{URL}\n2,Ink,{URL}\n3,"a"b,{URL}\n4,,{URL}\n')
    assert [(e.line, e.code) for e in errors(content)] == [
        (2, "name_missing"),
        (4, "quoting_broken"),
    ]


def test_the_summary_keeps_the_first_errors_and_counts_all() -> None:
    summary = opened(sheet_of("1,Pen,x\n" * 250)).validate()
    assert summary.error_count == 250
    assert [e.line for e in summary.errors] == list(range(2, 102))


def test_caps_on_rows_and_images_end_the_reading() -> None:
    content = sheet_of(f"1,Pen,{URL} {URL}\n" * 3 + "4,Ink,x\n")
    limits = SheetLimits(max_rows=2)
    message = "The file has more than 2 rows. Split it into several files."
    assert error(content, limits) == LineError(4, "", "", "too_many_rows", message)
    message = "The file has more than 3 images. Split it into several files."
    limits = SheetLimits(max_images=3)
    assert error(content, limits) == LineError(3, "", "", "too_many_images", message)
    assert errors(content, SheetLimits(max_rows=4, max_images=6))[0].code == "url_scheme"


def test_the_policy_is_asked_once_for_each_host_and_port() -> None:
    asked: list[str] = []

    def judge(url: str) -> tuple[str, str] | None:
        asked.append(url)
        return ("address_forbidden", "Not there.") if "10.0.0.1" in url else None

    content = sheet_of(
        "1,Pen,https://a.example/1\n2,Pen,https://a.example/2 https://a.example:443/3\n"
        "3,Pen,http://a.example/1\n4,Ink,http://10.0.0.1/é\n5,Ink,http://10.0.0.1/b\n"
    )
    forbidden = ("address_forbidden", "Not there.")
    assert errors(content, judge=judge) == [
        LineError(5, "Input Image Urls", "http://10.0.0.1/é", *forbidden),
        LineError(6, "Input Image Urls", "http://10.0.0.1/b", *forbidden),
    ]
    assert asked == ["https://a.example/1", "http://a.example/1", "http://10.0.0.1/%C3%A9"]
