"""What holds for every input."""

from __future__ import annotations

import csv
import io
import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from imageproc.sheet import LineError, Row, Sheet, SheetFormat, SheetLimits, cells, join_urls, rows
from imageproc.sheet.cell import split_cell
from imageproc.sheet.formula import neutralise, restore
from tests.sheet.sheets import HEADER, URL, a_format, good, opened, written

ANY = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
AWKWARD = st.text("'=+-@\t\r\n\uff1d\",;| aé\u2028\x0b\x1c\x85", max_size=8)
CP1252 = st.text(st.characters(codec="cp1252", exclude_characters="\0"), max_size=20)
ENCODINGS = st.sampled_from(
    [("utf-8", False), ("utf-8", True), ("utf-16-le", True), ("utf-16-be", True)]
)
DELIMITERS = st.sampled_from(",;\t")
ENDS = st.sampled_from(["\n", "\r\n", "\r"])
URLS = st.lists(
    st.sampled_from([URL, "http://b.example/2,3.jpg", "https://c.example/x?y=1;z|4"]),
    min_size=1,
    max_size=4,
)


# A time limit for each example would measure the machine.
PATIENT = settings(deadline=None)


@given(st.one_of(ANY, AWKWARD))
@example("'=x")
@PATIENT
def test_neutralising_is_undone_exactly(cell: str) -> None:
    safe = neutralise(cell)
    assert restore(safe) == cell
    if safe.lstrip("\t\r\n").startswith(tuple("=+-@\uff1d\uff0b\uff0d\uff20")):
        assert not set(safe) & set("(|![]{}^*&<>:#") - set("(") or "=" not in safe


@given(
    st.lists(st.tuples(st.one_of(ANY, AWKWARD), st.one_of(ANY, AWKWARD)), min_size=1, max_size=5),
    ENCODINGS,
    DELIMITERS,
    ENDS,
)
@PATIENT
def test_rows_to_csv_to_rows_is_the_identity(
    texts: list[tuple[str, str]], encoding: tuple[str, bool], delimiter: str, end: str
) -> None:
    sheet = a_format(encoding[0], delimiter, end, bom=encoding[1], header=(*HEADER, "x", "y"))
    records = [["1", "Pen", URL, *pair] for pair in texts]
    content = written(sheet, records)
    assert [row.cells for row in good(content)] == records
    reread = opened(content).format
    assert reread == sheet
    assert [row.cells for row in rows(io.BytesIO(content), sheet)] == records


@given(st.lists(CP1252, min_size=1, max_size=5), DELIMITERS, ENDS)
@PATIENT
def test_bytes_come_back_whatever_encoding_is_assumed(
    texts: list[str], delimiter: str, end: str
) -> None:
    sheet = a_format("cp1252", delimiter, end, header=(*HEADER, "x"))
    # More letters than any of the texts can have that UTF-8 would take for its own.
    content = written(sheet, [["1", "Crème brûlée" * 4, URL, text] for text in texts])
    found = opened(content)
    assert found.format is not None
    records = [row.cells for row in found if isinstance(row, Row)]
    assert len(records) == len(texts)
    assert written(found.format, records) == content


@given(st.one_of(ANY, AWKWARD), st.one_of(ANY, AWKWARD))
@PATIENT
def test_serial_and_name_are_any_text(serial: str, name: str) -> None:
    serial, name = f"s{serial}s", f"n{name}n"
    (row,) = good(written(a_format(), [(serial, name, URL)]))
    assert (row.serial_number, row.product_name) == (serial, name)


@given(st.binary(max_size=400))
@settings(PATIENT, max_examples=300)
def test_no_bytes_raise(content: bytes) -> None:
    check_accounts(opened(content))


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be"]), DELIMITERS)
@settings(PATIENT, max_examples=300)
def test_no_bytes_after_a_good_header_raise(body: bytes, encoding: str, delimiter: str) -> None:
    mark = "\ufeff" if encoding != "utf-8" else ""
    header = (mark + delimiter.join(HEADER) + "\n").encode(encoding)
    check_accounts(opened(header + body))


PIECES = st.sampled_from(
    ["1", "Pen", URL, ",", ",", "\n", "\r", "\r\n", '"', '""', " ", "'", "=", "x", "é", "\u2028"]
)


@given(st.lists(PIECES, max_size=40))
@settings(PATIENT, max_examples=400)
def test_no_record_is_lost(pieces: list[str]) -> None:
    body = "".join(pieces)
    sheet = opened((",".join(HEADER) + "\n" + body).encode())
    found = check_accounts(sheet)
    summary = sheet.summary
    read = summary.rows + summary.bad_rows + summary.blank_rows
    text = io.StringIO(body, newline="")
    try:
        records = list(csv.reader(text, strict=True))
    except csv.Error:
        assert found[-1].code == "quoting_broken"  # type: ignore[union-attr]
        return
    assert read == len(records)
    assert summary.blank_rows == sum(not "".join(record).strip() for record in records)
    kept = [row.cells for row in found if isinstance(row, Row)]
    assert all(
        [restore(cell) for cell in record] in kept
        for record in records
        if len(record) == 3 and record[:2] == ["1", "Pen"] and record[2] == URL
    )
    if summary.usable:
        # The good rows run, and every row comes back, the bad ones among them.
        assert sheet.format is not None
        bad_lines = {error.line for error in found if isinstance(error, LineError)}
        content = (",".join(HEADER) + "\n" + body).encode()
        good = list(rows(io.BytesIO(content), sheet.format, bad_lines=bad_lines))
        assert good == [row for row in found if isinstance(row, Row)]
        back = list(cells(io.BytesIO(content), sheet.format, bad_lines))
        assert len(back) == len(good) + summary.bad_rows == read - summary.blank_rows
    if summary.ok:
        assert sheet.format is not None
        stored = SheetFormat.from_dict(json.loads(json.dumps(sheet.format.to_dict())))
        content = (",".join(HEADER) + "\n" + body).encode()
        assert list(rows(io.BytesIO(content), stored)) == found
        assert list(rows(io.BytesIO(content), stored, skip=1)) == found[1:]


def check_accounts(sheet: Sheet) -> list[Row | LineError]:
    """Every record is a row, an error or a blank, and lines never go back."""
    found = list(sheet)
    lines = [item.line for item in found]
    assert lines == sorted(lines)
    summary = sheet.summary
    assert summary.rows == sum(isinstance(item, Row) for item in found)
    assert summary.error_count == sum(isinstance(item, LineError) for item in found)
    assert summary.error_count or summary.rows
    for item in found:
        if isinstance(item, LineError):
            assert len(item.value) <= 200
            assert item.message.isascii()
        else:
            assert all(url.isascii() for url in item.urls)
    return found


@given(URLS, st.sampled_from([",", ", ", ";", "|", " ", "\n", "\r\n", " ,\n"]), st.data())
@PATIENT
def test_outputs_stay_aligned(urls: list[str], between: str, data: st.DataObject) -> None:
    cell = between.join(urls)
    assert split_cell(cell) == urls
    slots = [
        data.draw(st.sampled_from(["", f"https://out.example/{i}.jpg"])) for i in range(len(urls))
    ]
    joined = join_urls(cell, slots)
    mark = next((mark for mark in ",;|\n " if mark in joined), ",")
    assert joined.split(mark) == slots


@given(st.text(max_size=60), st.text("htps:/,.;| a\\@[]%0x1é\n", max_size=60))
@PATIENT
def test_no_cell_of_urls_raises(text: str, urlish: str) -> None:
    for cell in (text, urlish, f"http://{urlish}", f"https://{text}"):
        quoted = cell.replace("\0", "").replace('"', '""')
        check_accounts(
            opened(
                f'{",".join(HEADER)}\n1,Pen,"{quoted}"\n'.encode(errors="replace"), SheetLimits()
            )
        )
