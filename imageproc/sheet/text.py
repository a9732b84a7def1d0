"""Bytes to lines of text, with every bound that keeps memory independent of the file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

from imageproc.sheet.errors import UnreadableError

if TYPE_CHECKING:
    from _csv import Reader

    from _typeshed import WriteableBuffer

# Characters in one record. A cell is bounded by the csv module's own 131,072.
MAX_RECORD = 1_000_000
# Stands for a backslash and a quote while the csv module reads; no character of any text.
ESCAPED_QUOTE = "\ufdd0"
_BLOCK = 1 << 18


class _Source(io.RawIOBase):
    """A stream whose reader may be closed or collected without closing the caller's stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        block = self._stream.read(len(view))
        view[: len(block)] = block
        return len(block)


class Lines:
    """The physical lines of a sheet with their line ends (LF, CRLF or CR), to be iterated once.

    ``pending``: characters handed out since the reader last set it to 0, which it does at the end
    of each record. Raises ``UnreadableError`` for a record without end and for NUL characters.
    Byte order marks at the start and a DOS end-of-file mark at the end are left out.

    ``backslash``: the delimiter of a file whose quotes have a backslash before them, not another
    quote, or "". Such quotes come out as ``ESCAPED_QUOTE``.
    """

    def __init__(self, stream: BinaryIO, encoding: str, *, backslash: str = "") -> None:
        source = io.BufferedReader(_Source(stream), _BLOCK)
        # An empty newline splits at all three line ends and changes none.
        errors = "surrogateescape" if encoding == "utf-8" else "strict"
        self._text = io.TextIOWrapper(source, encoding, errors=errors, newline="")
        # At the end of a cell the quote closes it: "C:\\pics\\" is a path.
        pattern = rf'\\"(?![{re.escape(backslash)}\r\n]|\Z)'
        self._escaped = re.compile(pattern) if backslash else None
        self.pending = 0

    def __iter__(self) -> Iterator[str]:
        escaped = self._escaped
        readline = partial(self._text.readline, MAX_RECORD + 1)
        first = readline().lstrip("\ufeff")
        for line in chain([first] if first else [], iter(readline, "")):
            self.pending += len(line)
            if self.pending > MAX_RECORD:
                raise too_long()
            if "\0" in line:
                raise UnreadableError(
                    "nul_character",
                    "The file contains a NUL character. Save the sheet again as CSV UTF-8.",
                )
            if line[-1] == "\x1a":
                line = line.rstrip("\x1a")
            if escaped:
                line = escaped.sub(ESCAPED_QUOTE, line)
            yield line


def too_long() -> UnreadableError:
    return UnreadableError(
        "record_too_long",
        f"This row is longer than {MAX_RECORD} characters. A double quote may be missing.",
    )


def csv_reader(lines: Iterable[str], delimiter: str) -> Reader:
    """The csv module in strict mode: broken quoting is an error, never a guess."""
    return csv.reader(lines, delimiter=delimiter, strict=True)


def unreadable(error: UnreadableError | csv.Error | UnicodeError) -> UnreadableError:
    """What the csv module or the decoder raised, as one of this room's own."""
    if isinstance(error, UnreadableError):
        return error
    if isinstance(error, UnicodeError):
        return UnreadableError(
            "encoding_unknown",
            "From about this line on, the file is not text in the encoding that it begins with. "
            "Save the sheet as CSV UTF-8.",
        )
    if "field limit" in str(error):
        return UnreadableError(
            "cell_too_long",
            f"A cell is longer than {csv.field_size_limit()} characters. "
            "A double quote may be missing.",
        )
    return UnreadableError(
        "quoting_broken",
        "The double quotes in this row do not pair up. Put the cell in double quotes and double "
        "each quote inside it; a backslash before a quote does not do.",
    )
