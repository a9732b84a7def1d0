"""Sheets as spreadsheets, shop systems and people leave them: read, or refused with the line."""

from __future__ import annotations

import codecs
import io

import pytest

from imageproc.sheet import LineError, Row, RowResult, cells, rows, write_output
from imageproc.sheet.links import UrlReader
from tests.sheet.sheets import URL, a_format, error, errors, good, opened, sheet_of, written

A, B = "https://a.example/1.jpg", "https://b.example/2.jpg"


def returned(content: bytes) -> bytes:
    """An accepted file with its own columns only, as it is written."""
    form = opened(content).format
    assert form is not None
    return written(form, [found for _, found in cells(io.BytesIO(content), form)])


@pytest.mark.parametrize(
    ("body", "last"),
    [
        (f"1,Pen,{URL}\n", ["1", "Pen", URL, "", "", ""]),
        (f"1,Pen,{URL},red\n", ["1", "Pen", URL, "red", "", ""]),
        (f"1,Pen,{URL},red,,,,\n", ["1", "Pen", URL, "red", "", ""]),
        (f"1,Pen,{URL},red,,, ,\n", ["1", "Pen", URL, "red", "", ""]),
    ],
)
def test_missing_cells_are_empty_and_surplus_empty_ones_are_dropped(
    body: str, last: list[str]
) -> None:
    content = sheet_of(body, "S. No.,Product Name,Image Urls,Colour,Note,Supplier\n")
    assert good(content)[0].cells == last
    form = opened(content).format
    assert form is not None
    assert [row.cells for row in rows(io.BytesIO(content), form)] == [last]
    assert returned(content).splitlines()[1] == ",".join(last).encode()


def test_a_row_without_a_cell_that_is_needed_and_one_with_surplus_text_are_named() -> None:
    content = sheet_of("1,Pen\n" + f"2,Ink,{URL},,x\n", "S. No.,Product,Image Url\n")
    assert [(e.line, e.code) for e in errors(content)] == [
        (2, "too_few_cells"),
        (3, "too_many_cells"),
    ]


def test_a_row_that_is_blank_for_one_is_blank_for_all() -> None:
    for blank in ("'\t,,", "'\t", ",,,,", " ,\t,\u00a0", "'=,,"):
        content = sheet_of(f"1,Pen,{URL}\n{blank}\n2,Ink,{URL}\n")
        found = list(opened(content))
        form = opened(content).format
        assert form is not None
        if not any(isinstance(item, LineError) for item in found):
            assert list(rows(io.BytesIO(content), form)) == found
            assert len(list(cells(io.BytesIO(content), form))) == len(found)


def test_a_stray_byte_is_named_and_no_link_changes() -> None:
    utf8 = "".join(f"P{n},Stühle {n},https://a.example/stühle/{n}.jpg\n" for n in range(20))
    for also in ("", "Q,Ábaco,https://a.example/1.jpg\n"):
        content = sheet_of(utf8 + also) + b"R,Caf\xe9 chair,https://a.example/ok.jpg\n"
        found = list(opened(content))
        assert found[-1] == LineError(
            22 + bool(also),
            "Product Name",
            "Caf? chair",
            "stray_byte",
            "The byte E9 here is not UTF-8, although the rest of the file is. "
            "Save the sheet as CSV UTF-8.",
            22 + bool(also),
        )
        assert isinstance(found[0], Row)
        assert found[0].urls == ("https://a.example/st%C3%BChle/0.jpg",)


def test_a_stray_byte_in_the_header_is_named() -> None:
    content = sheet_of("1,Pen,x,ü,ü\n", "S. No.,Product,Image Urls,x,y\n").replace(
        b",x,y", b",\xe9,y"
    )
    assert (error(content).line, error(content).code) == (1, "stray_byte")


TEXTS = [
    ("cp1252", "Stühle für Möbelhäuser, groß"),
    ("cp1251", "Красное туфли, Шляпа"),
    ("gb18030", "红色鞋子，中国制造高品质真皮沙发"),
    ("cp932", "表示ソ能ポ 赤い靴、テーブル"),
    ("big5", "紅色的鞋子"),
    ("cp949", "빨간 신발"),
    ("mac_roman", "Crème brûlée für Größe"),
]


@pytest.mark.parametrize(("encoding", "name"), TEXTS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_encoding_is_assumed_and_every_byte_comes_back(
    encoding: str, name: str, end: str
) -> None:
    content = f'S. No.,Product Name,Image Url{end}1,"{name}",{URL}{end}'.encode(encoding)
    sheet = opened(content)
    (row,) = list(sheet)
    assert isinstance(row, Row)
    assert sheet.format is not None
    assert (sheet.format.encoding, sheet.format.assumed) == (encoding, True)
    assert (row.product_name, row.urls) == (name, (URL,))
    assert returned(content).replace(b'"', b"") == content.replace(b'"', b"")
    output = b"".join(write_output(sheet.format, [(row.cells, RowResult([URL], "COMPLETED"))]))
    assert name.encode(encoding) in output


@pytest.mark.parametrize(("encoding", "name"), TEXTS)
def test_a_link_whose_bytes_are_a_guess_is_refused(encoding: str, name: str) -> None:
    link = f"https://a.example/{name[0]}{name[1]}.jpg" if encoding != "mac_roman" else f"{A}é"
    if encoding == "cp1252":
        link = f"{A}ü"
    content = f"S. No.,Product Name,Image Url\n1,{name},{A}\n2,x,{link}\n".encode(encoding)
    content = content.replace(", ".encode(encoding), b" ")
    assert (error(content).line, error(content).code) == (3, "url_encoding")


@pytest.mark.parametrize(
    "between", ["\uff0c", "\uff1b", "\u3001", "<br>", "<BR />", "||", "\u3000", "|\n", '","', "” “"]
)
def test_separators_of_every_keyboard(between: str) -> None:
    cell = A + between + B
    assert UrlReader(None).read(cell) == ((A, B), [])
    for edge in (between, "”", '"', "\u200b", "\u200e", "\u00a0", "\ufeff"):
        assert UrlReader(None).read(cell + edge) == ((A, B), [])


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        (A + B, "url_joined"),
        (f"{A}?v=1{B}", "url_joined"),
        (f"{A}·{B}", "url_joined"),
        (f"{A}\\n{B}", "url_joined"),
        (f"{A}/{B}", "url_joined"),
        (f"{A}#{B}", "url_joined"),
        (f"{A}%0A{B}", "url_joined"),
        (f"{A},b.example/2.jpg", "url_joined"),
        (f"{A}?v=1,b.example/2.jpg", "url_joined"),
        (f"{A},www.b.example/2", "url_joined"),
        (f"{A},2.jpg", "url_joined"),
        (f"{A};/media/2.jpg", "url_joined"),
        ("https://a.example/1,b.example/2.jpg", "url_joined"),
        (f"{A}|Front|400x400", "url_label"),
        (f"{A}|Front", "url_label"),
        (f"{A} > {B}", "url_space"),
        (f"{A} / {B}", "url_space"),
        ("https://a.example/im\u00adage.jpg", "url_pasted"),
        ('https://a.example/im"age.jpg', "url_pasted"),
        ("https://a.example/im”age.jpg", "url_pasted"),
        ("https://a.example/im\u200bage.jpg", "url_control"),
        (f"![shoe]({A})", "url_scheme"),
    ],
)
def test_what_is_not_one_link_is_refused(cell: str, code: str) -> None:
    _, refused = UrlReader(None).read(cell)
    assert [problem.code for _, problem in refused] == [code]


@pytest.mark.parametrize(
    "link",
    [
        "https://a.example/2,3.jpg",
        "https://a.example/x?y=1;z|4",
        "https://proxy.example/?url=https://a.example/1.jpg&w=3",
        "https://proxy.example/image/fetch/w_300,h_200/https://a.example/1.jpg",
        "https://a.example/cdn-cgi/image/width=80,quality=75/https://b.example/1.jpg",
        "https://a.example/upload/c_fill,g_auto/b_rgb:000,y_-0.50/w_0.5,y_0.18/veg.jpg",
        "https://a.example/i.jpg;width=300;format=webp",
        "https://a.example/i.jpg?files=a.jpg,b.jpg",
        "https://a.example/1.jpg?u=https%3A%2F%2Fb.example%2F2.jpg",
        "https://a.example/1.jpg)",
        "https://a.example/1.jpg.",
        "https://a.example/l’été.jpg",
    ],
)
def test_what_looks_odd_and_is_one_link(link: str) -> None:
    urls, refused = UrlReader(None).read(link)
    assert (len(urls), refused) == (1, [])


@pytest.mark.parametrize(
    ("link", "fetched"),
    [
        (f"{A}?id=1&amp;w=8&amp;h=8", f"{A}?id=1&w=8&h=8"),
        (f"{A}?n=A&#38;B", f"{A}?n=A&B"),
        (f"{A}?n=A&#038;B&#x26;C", f"{A}?n=A&B&C"),
        ("https://a.example/x&amp;y.jpg", "https://a.example/x&amp;y.jpg"),
    ],
)
def test_an_ampersand_of_html_in_a_query_is_read(link: str, fetched: str) -> None:
    reader = UrlReader(None)
    assert reader.read(f"{link};{B}") == ((fetched, B), [])
    assert reader.unescaped == (link != fetched)


def test_quotes_with_a_backslash_before_them() -> None:
    content = (
        b"S. No.,Product Name,Image Url,Description\n"
        b'1,Shoe,https://a.example/1.jpg,"[row style=\\"wide\\"] leather"\n'
        b'2,Boot,https://a.example/2.jpg,"C:\\\\pics\\\\"\n'
        b'3,Hat,https://a.example/3.jpg,"a ""b"" \\"c"\n'
        b"4,Cap,https://a.example/4.jpg,plain\n"
    )
    assert [row.cells[3] for row in good(content)] == [
        '[row style=\\"wide\\"] leather',
        "C:\\\\pics\\\\",
        'a "b" \\"c',
        "plain",
    ]
    assert returned(content).splitlines()[1:4] == [
        b'"1","Shoe","https://a.example/1.jpg","[row style=\\"wide\\"] leather"',
        b'"2","Boot","https://a.example/2.jpg","C:\\\\pics\\\\"',
        b'"3","Hat","https://a.example/3.jpg","a ""b"" \\"c"',
    ]
    assert good(returned(content)) == good(content)


def test_a_backslash_is_not_made_up_where_it_gives_no_table() -> None:
    content = sheet_of(f'1,"a \\" b, c,{URL}\n2,"x \\"y",{URL}\n')
    assert (error(content).line, error(content).code) == (2, "quoting_broken")
    assert "backslash" in error(content).message
    # RFC 4180's reading holds: the backslash is a letter
    assert good(sheet_of(f'1,"C:\\",{URL}\n'))[0].product_name == "C:\\"


@pytest.mark.parametrize("mark", [b"\x1a", b"\x1a\x1a"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_dos_end_of_file_mark_is_left_out(mark: bytes, end: bytes) -> None:
    content = sheet_of(f"1,Pen,{URL}") + end + mark
    assert [row.urls for row in good(content)] == [(URL,)]


def test_cr_cr_lf_comes_back_as_crlf() -> None:
    content = sheet_of(f"1,Pen,{URL}\n").replace(b"\n", b"\r\r\n")
    assert len(good(content)) == 1
    assert returned(content) == sheet_of(f"1,Pen,{URL}\n").replace(b"\n", b"\r\n")


def test_byte_order_marks() -> None:
    one = b'"S. No.","Product Name","Image Url"\n' + f"1,Pen,{URL}\n".encode()
    for marks in (1, 2, 3):
        assert len(good(codecs.BOM_UTF8 * marks + one)) == 1
    joined = codecs.BOM_UTF8 + one + codecs.BOM_UTF8 + one.replace(b"1,Pen", b"2,Ink")
    sheet = opened(joined)
    assert [row.serial_number for row in sheet if isinstance(row, Row)] == ["1", "2"]
    assert sheet.summary.headers == 1
    form = sheet.format
    assert form is not None
    assert len(list(rows(io.BytesIO(joined), form))) == 2
    assert len(list(cells(io.BytesIO(joined), form))) == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("sep", ["", "sep={}\r\n"])
def test_title_lines_above_the_header_are_kept(delimiter: str, sep: str) -> None:
    lines = [("ACME Ltd - Price list", "", ""), ("Valid from:", "01.03.2026", ""), ("", "", "")]
    lines += [("S. No.", "Product Name", "Input Image Urls"), ("1", "Shoe", URL)]
    text = sep.format(delimiter) + "".join(delimiter.join(line) + "\r\n" for line in lines)
    assert [row.line for row in good(text.encode())] == [6 if sep else 5]
    assert returned(text.encode()) == text.encode()


def test_a_header_below_the_twentieth_line_is_none() -> None:
    title = "Price list\n"
    content = sheet_of(f"1,Pen,{URL}\n")
    assert len(good(title.encode() * 19 + content)) == 1
    assert error(title.encode() * 20 + content).code == "column_missing"


def test_a_bar_separates_columns_and_links() -> None:
    content = f'S. No.|Product Name|Image Urls\n1|Pen|"{A}|{B}"\n'.encode()
    assert good(content)[0].urls == (A, B)
    assert returned(content) == content


def test_a_format_knows_how_its_file_was_read() -> None:
    assert a_format("cp1252").assumed
    assert not a_format().assumed
