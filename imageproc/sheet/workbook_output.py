"""A workbook with its results: the uploaded file with some cells of one worksheet written anew.

Every other byte of the worksheet, and all other parts of the file, stay as they are: formats,
widths, formulas with their values, other worksheets, pictures. openpyxl would drop some of these,
and hold a million cells in memory. New cells are inline strings (ECMA-376, 18.3.1.53), which are
never evaluated as formulas.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, BinaryIO
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_DEFLATED, ZipFile

from defusedxml.ElementTree import fromstring
from openpyxl.utils import column_index_from_string, get_column_letter

from imageproc.sheet.errors import SheetChangedError
from imageproc.sheet.workbook import seekable

# (row from 1, new texts by the index of their column from 0), in the order of the rows.
Changes = tuple[int, Mapping[int, str]]

_BLOCK = 1 << 16
_BEHIND_ALL = 1 << 20  # more columns than any worksheet has
_LONGEST = 32_767  # characters of a cell, Excel's own limit
_TOO_LONG = "Too long for a cell of a workbook: see the output as CSV."
_RELATIONS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_SPANS = re.compile(rb'\sspans="[^"]*"')
# Excel makes the list of its formulas anew where there is none, and complains about one that names
# a cell without a formula.
_CHAIN = re.compile(rb"<(?:\w+:)?(?:Override|Relationship)\s[^>]*calcChain[^>]*/>")


def write_workbook(
    stream: BinaryIO, worksheet: str, header_row: int, changes: Iterable[Changes]
) -> Iterator[bytes]:
    """The file in blocks. An empty block is a sign of life: writing takes some seconds.

    ``stream``: the uploaded file, which is closed in the end. ``header_row``: its new cells look
    like the last one there.
    """
    with stream, ZipFile(seekable(stream)) as source, tempfile.TemporaryFile() as target:
        path = _path_of(source, worksheet)
        with ZipFile(target, "w", ZIP_DEFLATED) as archive:
            for part in source.infolist():
                if part.filename.endswith("/calcChain.xml"):
                    continue
                with source.open(part) as old, archive.open(part.filename, "w") as new:
                    blocks = _blocks(old, part.filename)
                    if part.filename == path:
                        blocks = _Patch(header_row, changes).blocks(blocks)
                    for block in blocks:
                        new.write(block)
                        yield b""
        target.seek(0)
        while block := target.read(_BLOCK):
            yield block


def _blocks(file: IO[bytes], name: str) -> Iterator[bytes]:
    if name in ("[Content_Types].xml", "xl/_rels/workbook.xml.rels"):
        yield _CHAIN.sub(b"", file.read())
        return
    while block := file.read(_BLOCK):
        yield block


def _path_of(archive: ZipFile, worksheet: str) -> str:
    """Where a worksheet is in the file (ECMA-376, part 2: relationships)."""
    book = fromstring(archive.read("xl/workbook.xml"))
    relations = fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {one.get("Id"): one.get("Target", "") for one in relations}
    for one in book.iter():
        if one.tag.endswith("}sheet") and one.get("name") == worksheet:
            target = targets[one.get(f"{_RELATIONS}id")]
            return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    raise SheetChangedError(f"The workbook has no worksheet {worksheet}.")


class _Patch:
    """Copies a worksheet's XML and puts cells in: expat says where each element begins.

    ``_held``: bytes that were read and neither copied nor left out, from the offset ``_at`` on.
    """

    def __init__(self, header_row: int, changes: Iterable[Changes]) -> None:
        self._header_row = header_row
        self._changes = iter(changes)
        self._next = next(self._changes, None)
        self._held = bytearray()
        self._at = 0
        self._out: list[bytes] = []
        self._row = self._column = 0
        self._style = ""
        self._prefix = ""
        self._texts: dict[int, str] = {}
        # The element that is left out; whether its end tag has been seen.
        self._left_out = ""
        self._left_out_ended = False
        self._row_tag = False
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._doctype

    def blocks(self, source: Iterable[bytes]) -> Iterator[bytes]:
        try:
            for block in source:
                self._held += block
                self._parser.Parse(block)
                if not self._left_out and not self._row_tag:
                    # Whatever is still to come begins with the last "<" or behind it.
                    self._copy(self._at + max(self._held.rfind(b"<"), 0))
                yield self._taken()
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise SheetChangedError("The worksheet cannot be read.") from error
        self._copy(self._at + len(self._held))
        yield self._taken()

    def _taken(self) -> bytes:
        block = b"".join(self._out)
        self._out.clear()
        return block

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._settle()
        prefix, colon, local = name.rpartition(":")
        if local == "row":
            self._copy(self._parser.CurrentByteIndex)
            self._begin_row(prefix + colon, int(attributes.get("r") or self._row + 1))
        elif local == "c":
            self._begin_cell(name, attributes)
        elif local == "dimension":
            self._copy(self._parser.CurrentByteIndex)
            self._leave_out(name)  # it may be missing, and would be wrong

    def _end(self, name: str) -> None:
        self._settle()
        if name == self._left_out:
            self._left_out_ended = True
        elif name.rpartition(":")[2] == "row" and self._texts:
            style = self._style if self._row == self._header_row else ""
            self._insert(_BEHIND_ALL, style)

    def _doctype(self, *_: object) -> None:
        raise SheetChangedError("The worksheet holds a document type.")

    def _begin_row(self, prefix: str, row: int) -> None:
        self._prefix, self._row, self._column, self._style = prefix, row, -1, ""
        while self._next and self._next[0] < row:
            self._next = next(self._changes, None)
        self._texts = {}
        if self._next and self._next[0] == row:
            self._texts = dict(sorted(self._next[1].items()))
            self._row_tag = True

    def _begin_cell(self, name: str, attributes: dict[str, str]) -> None:
        letters = attributes.get("r", "").rstrip("0123456789")
        self._column = column_index_from_string(letters) - 1 if letters else self._column + 1
        self._style = attributes.get("s", "")
        if self._texts:
            self._insert(self._column, "")
            if self._column in self._texts:
                self._out.append(self._cell(self._column, self._style))
                del self._texts[self._column]
                self._leave_out(name)

    def _leave_out(self, name: str) -> None:
        self._left_out, self._left_out_ended = name, False

    def _insert(self, before: int, style: str) -> None:
        """The new cells to the left of a column."""
        self._copy(self._parser.CurrentByteIndex)
        for column in [column for column in self._texts if column < before]:
            if self._texts[column]:
                self._out.append(self._cell(column, style))
            del self._texts[column]

    def _cell(self, column: int, style: str) -> bytes:
        p, text = self._prefix, self._texts[column]
        place = f'r="{get_column_letter(column + 1)}{self._row}"'
        look = f" s={quoteattr(style)}" if style else ""
        if not text:
            return f"<{p}c {place}{look}/>".encode()
        text = escape(text if len(text) <= _LONGEST else _TOO_LONG)
        return (
            f'<{p}c {place}{look} t="inlineStr"><{p}is><{p}t xml:space="preserve">{text}'
            f"</{p}t></{p}is></{p}c>"
        ).encode()

    def _settle(self) -> None:
        """At the element or end tag behind something that is not copied as it is."""
        at = self._parser.CurrentByteIndex
        if self._left_out_ended:
            self._drop(at)
            self._left_out, self._left_out_ended = "", False
        elif self._row_tag:
            # A hint at the columns of the row, which would be wrong.
            tag, mark, rest = bytes(self._held[: at - self._at]).partition(b">")
            self._out.append(_SPANS.sub(b"", tag) + mark + rest)
            self._drop(at)
            self._row_tag = False

    def _copy(self, at: int) -> None:
        self._out.append(bytes(self._held[: at - self._at]))
        self._drop(at)

    def _drop(self, at: int) -> None:
        del self._held[: at - self._at]
        self._at = at
