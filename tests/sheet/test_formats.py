"""Every way of writing a sheet that is accepted, with the exact rows that come out."""

from __future__ import annotations

import codecs
import io
import json
from pathlib import Path

import pytest

from imageproc.sheet import Row, SheetChangedError, SheetFormat, SheetLimits, read, rows
from tests.sheet.sheets import HEADER, URL, good, opened, sheet_of


def form(content: bytes) -> SheetFormat:
    found = opened(content).format
    assert found is not None
    return found


def test_a_row_holds_its_line_its_three_values_and_the_whole_record() -> None:
    content = sheet_of(f'P001,"Pen, blue","{URL}, https://b.example/2.png"\n007,Ink,{URL}\n')
    assert good(content) == [
        Row(
            2,
            "P001",
            "Pen, blue",
            (URL, "https://b.example/2.png"),
            ["P001", "Pen, blue", f"{URL}, https://b.example/2.png"],
        ),
        Row(3, "007", "Ink", (URL,), ["007", "Ink", URL]),
    ]


@pytest.mark.parametrize(
    ("encoding", "bom", "mark"),
    [
        ("utf-8", False, b""),
        ("utf-8", True, codecs.BOM_UTF8),
        ("utf-16-le", True, codecs.BOM_UTF16_LE),
        ("utf-16-be", True, codecs.BOM_UTF16_BE),
        ("cp1252", False, b""),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encoding_delimiter_and_line_end(
    encoding: str, bom: bool, mark: bytes, delimiter: str, end: str
) -> None:
    lines = [HEADER, ("1", "Crème brûlée", URL), ("2", "Ink", URL)]
    content = mark + "".join(delimiter.join(line) + end for line in lines).encode(encoding)
    found = form(content)
    assert (found.encoding, found.bom) == (encoding, bom)
    assert (found.delimiter, found.lineterminator) == (delimiter, end)
    assert (found.header, found.serial, found.name, found.images) == (HEADER, 0, 1, (2,))
    assert [(row.line, row.product_name) for row in good(content)] == [
        (2, "Crème brûlée"),
        (3, "Ink"),
    ]


def test_one_byte_that_is_not_utf_8_at_the_end_of_a_long_file_decides_the_encoding() -> None:
    body = f"1,Pen,{URL}\n" * 40_000
    content = sheet_of(body) + b"2,Caf\xe9," + URL.encode() + b"\n"
    assert form(content).encoding == "cp1252"
    assert good(content)[-1].product_name == "Café"


@pytest.mark.parametrize("serial", ["S. No.", "S.No", "SNo", "s_no", "Serial Number", "SERIAL-NO."])
@pytest.mark.parametrize("name", ["Product Name", "product_name", "PRODUCT", "ProductName"])
@pytest.mark.parametrize(
    "urls", ["Input Image Urls", "Input Image URLs", "Image Urls", "input images", "image_url"]
)
def test_headers_are_matched_without_case_and_marks(serial: str, name: str, urls: str) -> None:
    found = form(f"{name},Extra,{urls},{serial}\nPen,x,{URL},1\n".encode())
    assert (found.serial, found.name, found.images) == (3, 0, (2,))


def test_extra_columns_and_their_order_are_kept() -> None:
    content = f"Colour,Input Image Urls,S. No.,Product Name,\nred,{URL},1,Pen,\n".encode()
    assert good(content) == [Row(2, "1", "Pen", (URL,), ["red", URL, "1", "Pen", ""])]


def test_a_header_cell_may_contain_the_delimiter_of_another_dialect_and_a_line_break() -> None:
    content = f'S. No.;"Product\nName";"Input, Image, Urls";a,b,c,d,e\n1;Pen;{URL};x\n'.encode()
    # "Input, Image, Urls" is not one of ours, a comma is not ignored in a name: the cells tell.
    assert form(content).found_by == "content"
    content = content.replace(b"Input, Image, Urls", b"Input Image Urls")
    found = form(content)
    assert (found.delimiter, found.head_lines) == (";", 2)
    assert good(content) == [Row(3, "1", "Pen", (URL,), ["1", "Pen", URL, "x"])]


def test_blank_lines_and_rows_of_empty_cells_are_skipped_and_counted() -> None:
    content = b"\n;;\n" + sheet_of(f"\n1,Pen,{URL}\n,,\n , ,\n,,,,,\n\n2,Ink,{URL}\n\n")
    sheet = opened(content)
    assert [(row.line, row.cells[0]) for row in sheet if isinstance(row, Row)] == [
        (5, "1"),
        (10, "2"),
    ]
    summary = sheet.summary
    assert (summary.rows, summary.bad_rows, summary.blank_rows) == (2, 0, 6)
    assert summary.ok


def test_excels_sep_line_names_the_delimiter() -> None:
    content = f"sep=;\r\nS. No.;Product Name;Input Image Urls\r\n1;Pen;{URL}\r\n".encode()
    assert (form(content).sep_line, form(content).delimiter, form(content).head_lines) == (
        True,
        ";",
        2,
    )
    assert good(content) == [Row(3, "1", "Pen", (URL,), ["1", "Pen", URL])]


def test_quoted_line_breaks_and_the_line_where_a_record_starts() -> None:
    content = sheet_of(f'1,"Pen\nblue","{URL}\r\nhttps://b.example/2.png"\n2,Ink,{URL}')
    assert [(row.line, row.product_name, row.urls) for row in good(content)] == [
        (2, "Pen\nblue", (URL, "https://b.example/2.png")),
        (5, "Ink", (URL,)),
    ]


def test_two_rows_may_share_a_serial_number_and_a_cell_may_repeat_a_url() -> None:
    content = sheet_of(f"1,Pen,{URL} {URL}\n1,Pen,{URL}\n")
    sheet = opened(content)
    assert [row.urls for row in sheet if isinstance(row, Row)] == [(URL, URL), (URL,)]
    assert (sheet.summary.images, sheet.summary.duplicate_urls) == (3, 2)
    assert sheet.summary.duplicates_exact


def test_the_summary_counts_products_images_and_hosts() -> None:
    content = sheet_of(
        f"1,Pen,{URL}\n2,Ink,{URL}|http://B.example:8080/1|https://[::1]/x\n3,Nib,http://b.example\n"
    )
    summary = opened(content).validate()
    assert (summary.rows, summary.images) == (3, 5)
    assert summary.hosts == {"cdn.example.com": 2, "b.example": 2, "[::1]": 1}
    assert summary.images_elsewhere == 0


def test_an_apostrophe_that_we_wrote_is_taken_away_and_no_other() -> None:
    content = sheet_of(f"'=1,'tis,{URL}\n''=1,it's,{URL}\n'',a,{URL}\n")
    assert [tuple(row.cells[:2]) for row in good(content)] == [
        ("=1", "'tis"),
        ("'=1", "it's"),
        ("''", "a"),
    ]


def test_the_format_survives_json_and_reads_the_file_again() -> None:
    content = codecs.BOM_UTF16_LE + (
        f'\nsep=;\nS. No.;"Product\nName";Image Urls\n;;\n\'=1;"é\n";{URL}\n2;Ink;{URL}\n'
    ).encode("utf-16-le")
    found = form(content)
    again = SheetFormat.from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert list(rows(io.BytesIO(content), again)) == good(content)
    assert list(rows(io.BytesIO(content), again, skip=1)) == good(content)[1:]
    assert list(rows(io.BytesIO(content), again, skip=2)) == []


class OneWay(io.RawIOBase):
    """A stream that gives at most 7 bytes a time and cannot seek, like a socket."""

    def __init__(self, content: bytes) -> None:
        self._inner = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(7)


def test_rows_reads_a_stream_that_cannot_seek() -> None:
    content = sheet_of(f"1,Crème,{URL}\r\n2,Ink,{URL}\r\n")
    stream = OneWay(content)
    assert [row.serial_number for row in rows(stream, form(content))] == ["1", "2"]  # type: ignore[arg-type]


@pytest.mark.parametrize("body", ["1,Pen\n", "1,Pen,ftp://x/\n", '1,Pen,"x\n', "1,\0,\n"])
def test_rows_of_a_file_that_was_changed_meanwhile(body: str) -> None:
    sheet = form(sheet_of(f"1,Pen,{URL}\n"))
    with pytest.raises(SheetChangedError):
        list(rows(io.BytesIO(sheet_of(body)), sheet))


def test_the_callers_stream_stays_open(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(sheet_of(f"1,Pen,{URL}\n"))
    with path.open("rb") as stream:
        sheet = read(stream, SheetLimits())
        sheet.validate()
        assert sheet.format is not None
        found = sheet.format
        del sheet
        stream.seek(0)
        assert len(list(rows(stream, found))) == 1
        assert not stream.closed
