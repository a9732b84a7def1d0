"""Memory does not grow with the file."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from imageproc.sheet import RowResult, SheetFormat, read, rows, write_output

ROWS = 80_000
HEADER = b"S. No.,Product Name,Input Image Urls\n"


def peak(work: Callable[[], None]) -> int:
    """Bytes allocated by Python at the highest point of ``work``."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_of_reading_and_writing_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    with path.open("wb") as file:
        file.write(HEADER)
        for number in range(ROWS):
            file.write(
                b"%d,Pen,https://cdn.example.com/images/catalogue/%d.jpg\n" % (number, number)
            )
    found: list[SheetFormat] = []

    def validate() -> None:
        with path.open("rb") as file:
            sheet = read(file)
            summary = sheet.validate()
        assert (summary.rows, summary.images, summary.duplicate_urls) == (ROWS, ROWS, 0)
        assert sheet.format is not None
        found.append(sheet.format)

    def write_again() -> None:
        with path.open("rb") as file:
            some = islice(rows(file, found[0]), ROWS // 5)
            done = ((row.cells, RowResult(row.urls, "DONE")) for row in some)
            written = sum(len(block) for block in write_output(found[0], done))
        assert written > 22 * ROWS

    # 8 bytes a URL to find duplicates, and the buffers. The file is 5 MB; its rows would be 40.
    assert peak(validate) < ROWS * 8 + 4_000_000
    assert peak(write_again) < 2_000_000


def test_an_endless_line_or_cell_is_given_up_early() -> None:
    for body, code in (
        (b"x" * 40_000_000, "record_too_long"),
        (b"x\n" * 2_000_000, "cell_too_long"),
    ):
        stream = io.BytesIO(HEADER + b'1,"' + body)

        def validate(stream: io.BytesIO = stream, code: str = code) -> None:
            assert [error.code for error in read(stream).validate().errors] == [code]

        assert peak(validate) < 12_000_000
