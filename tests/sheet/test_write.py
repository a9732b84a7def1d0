"""What is written: byte for byte."""

from __future__ import annotations

import codecs
import dataclasses
from collections.abc import Iterator

import pytest

from imageproc.sheet import Row, RowResult, SheetFormat, write, write_output, write_rows
from tests.sheet.sheets import HEADER, URL, a_format, good, opened, sheet_of, written

OUT = "https://shop.example/1.jpg"


def again(content: bytes, outcome: RowResult) -> bytes:
    """The output of a file, each row with the same outcome."""
    sheet = opened(content)
    rows = [(row.cells, outcome) for row in sheet if isinstance(row, Row)]
    assert sheet.format is not None
    assert sheet.summary.ok
    return b"".join(write_output(sheet.format, rows))


def test_the_output_is_the_same_csv_with_three_more_columns() -> None:
    content = (
        f'Colour;Input Image Urls;S. No.;Product Name\r\nred;"{URL}; {URL}";007;"Pen ""x"""\r\n'
        f"\r\n;{URL};8;Ink\r\n"
    ).encode("cp1252")
    assert again(content, RowResult([OUT, ""], "PARTIAL", "The host is gone; really.")) == (
        "Colour;Input Image Urls;S. No.;Product Name;Output Image Urls;Status;Error\r\n"
        f'red;"{URL}; {URL}";007;"Pen ""x""";"{OUT};";PARTIAL;"The host is gone; really."\r\n'
        f';{URL};8;Ink;{OUT},;PARTIAL;"The host is gone; really."\r\n'
    ).encode("cp1252")


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("cp1252", b""),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("sep", ["", "sep={}"])
def test_an_accepted_file_is_reproduced_byte_for_byte(
    encoding: str, mark: bytes, delimiter: str, end: str, sep: str
) -> None:
    lines = [delimiter.join((*HEADER, "x")), delimiter.join(("1", "Crème\u00a0", URL, "'it"))]
    if sep:
        lines.insert(0, sep.format(delimiter))
    content = mark + "".join(line + end for line in lines).encode(encoding)
    sheet = opened(content)
    rows = [(row.cells, [row.urls]) for row in sheet if isinstance(row, Row)]
    assert sheet.format is not None
    assert b"".join(write_rows(sheet.format, rows)) == content


def test_an_output_uploaded_again_is_filled_again_not_widened() -> None:
    outcome = RowResult([OUT], "COMPLETED")
    once = again(sheet_of(f"1,Pen,{URL}\n"), RowResult([""], "FAILED", "Gone."))
    assert (
        once
        == (
            "S. No.,Product Name,Input Image Urls,Output Image Urls,Status,Error\n"
            f"1,Pen,{URL},,FAILED,Gone.\n"
        ).encode()
    )
    assert (
        again(once, outcome)
        == (
            "S. No.,Product Name,Input Image Urls,Output Image Urls,Status,Error\n"
            f"1,Pen,{URL},{OUT},COMPLETED,\n"
        ).encode()
    )


@pytest.mark.parametrize(
    ("header", "cells", "expected_header", "expected"),
    [
        # the catalogue's own Status stays
        ("Status", "on sale", "Status,Output Image Urls,Status,Error", f"on sale,{OUT},DONE,"),
        # an empty column made ready by hand is filled
        (
            "output_image_urls,Colour",
            ",red",
            "output_image_urls,Colour,Status,Error",
            f"{OUT},red,DONE,",
        ),
        # ours, moved about
        (
            "Status,Output Image Urls,Error,x,Status",
            "on sale,,old,y,old",
            "Status,Output Image Urls,Error,x,Status",
            f"on sale,{OUT},,y,DONE",
        ),
    ],
)
def test_whose_column_it_is(header: str, cells: str, expected_header: str, expected: str) -> None:
    before = "S. No.,Product Name,Input Image Urls"
    content = f"{before},{header}\n1,Pen,{URL},{cells}\n".encode()
    once = again(content, RowResult([OUT], "DONE"))
    assert once == f"{before},{expected_header}\n1,Pen,{URL},{expected}\n".encode()
    assert again(once, RowResult([OUT], "DONE")) == once


def test_failed_rows_can_be_uploaded_as_they_are() -> None:
    urls = "https://a.example/1|https://b.example/2|https://b.example/é"
    content = sheet_of(f"1,Pen,{urls},red\n2,Ink,{URL},\n", "SNo,Product,Urls Input,x\n")
    content = content.replace(b"Urls Input", b"Input Urls")
    sheet = opened(content)
    first = next(iter(sheet))
    assert isinstance(first, Row)
    assert sheet.format is not None
    failed = b"".join(write_rows(sheet.format, [(first.cells, [first.urls[1:]])]))
    assert failed == (
        b"SNo,Product,Input Urls,x\n1,Pen,https://b.example/2|https://b.example/%C3%A9,red\n"
    )
    assert good(failed)[0].urls == first.urls[1:]


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("=123", "'=123"),
        ("+A1", "'+A1"),
        ("-A1+B2", "'-A1+B2"),
        ("-1+A1", "'-1+A1"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("- SUM(A1)", "'- SUM(A1)"),
        ("- A1", "'- A1"),
        ("-x", "'-x"),
        ("@SUM(1)", "'@SUM(1)"),
        ("@A1", "'@A1"),
        ("\t=x", "'\t=x"),
        ("\r=x", '"\'\r=x"'),
        ("\n =x", '"\'\n =x"'),
        ("\uff1dx", "'\uff1dx"),
        ("\uff0bx", "'\uff0bx"),
        ("\uff0dx", "'\uff0dx"),
        ("\uff20A1", "'\uff20A1"),
        ('="a"&A1', '"\'=""a""&A1"'),
        ("'=x", "''=x"),
        ("'-15", "'-15"),
        ("-15", "-15"),
        ("-0.02", "-0.02"),
        ("-1,250.50", '"-1,250.50"'),
        ("-1e-7", "-1e-7"),
        ("+3", "+3"),
        ("-5%", "-5%"),
        ("-20 °C", "-20 °C"),
        ("-15cm", "-15cm"),
        ("+49 30 1234567", "+49 30 1234567"),
        ("+1 (202) 555-0100", "+1 (202) 555-0100"),
        ("-", "-"),
        ("- black leather, soft.", '"- black leather, soft."'),
        ("@shoes", "@shoes"),
        ("\tx", "\tx"),
        ('="00123"', '"=""00123"""'),
        ("''=x", "'''=x"),
        ("'tis", "'tis"),
        ("'", "'"),
        ("a=1", "a=1"),
        (" =1", " =1"),
        ("", ""),
    ],
)
def test_formulas_are_neutralised_and_come_back(cell: str, safe: str) -> None:
    sheet = a_format(header=(*HEADER, "=x"))
    content = written(sheet, [("1", "Pen", URL, cell)])
    assert content == f"S. No.,Product Name,Input Image Urls,'=x\n1,Pen,{URL},{safe}\n".encode()
    assert good(content)[0].cells[3] == cell
    reread = opened(content).format
    assert reread is not None
    assert reread.header == sheet.header


def test_a_lone_carriage_return_is_quoted_whatever_the_line_end() -> None:
    for end in ("\n", "\r", "\r\n"):
        content = written(a_format(end=end), [("1", "a\rb\nc", URL)])
        assert f'"a\rb\nc",{URL}{end}'.encode() in content


def test_what_the_encoding_cannot_hold_does_not_fail() -> None:
    content = written(a_format("cp1252"), [("1", "Crème 画", URL)])
    assert f"1,Crème ?,{URL}\n".encode("cp1252") in content
    assert b"1,?,x\n" in written(a_format(), [("1", "\ud800", "x")])


def test_writing_streams_in_blocks() -> None:
    sheet = a_format()
    taken: list[int] = []

    def endless() -> Iterator[tuple[str, str, str]]:
        while True:
            taken.append(1)
            yield ("1", "Pen", URL)

    first = next(write(sheet, sheet.header, endless()))
    assert 60_000 < len(first) < 67_000
    assert len(taken) < 2_000


def test_a_format_is_a_value() -> None:
    sheet = a_format()
    assert SheetFormat.from_dict(sheet.to_dict()) == sheet
    assert dataclasses.replace(sheet, bom=True) != sheet
