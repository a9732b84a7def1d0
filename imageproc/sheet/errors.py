"""What is wrong with a sheet, as values that name the line."""

from __future__ import annotations

from typing import NamedTuple

SHOWN = 200


class LineError(NamedTuple):
    """One thing to correct, reported to the person who owns the file.

    ``line``: the physical line, from 1, where the record starts. ``column``: the header's own
    name, or "" when the whole line or file is meant. ``value``: what stood there, at most 200
    characters. ``code``: stable, snake_case. ``message``: plain sentences, ASCII. ``row``: the row
    that a spreadsheet shows, 0 where it is not known.
    """

    line: int
    column: str
    value: str
    code: str
    message: str
    row: int = 0


def line_error(line: int, column: str, value: str, code: str, message: str) -> LineError:
    """A ``LineError`` with its value cut to what is shown, and fit for UTF-8."""
    return LineError(line, _shown(column), _shown(value), code, message)


def _shown(text: str) -> str:
    return text[:SHOWN].encode("utf-8", "replace").decode()


class UnreadableError(Exception):
    """The bytes cannot be read as a sheet; inside this room only, it comes out as a value.

    ``header``, ``rows``: what was seen where only the columns are not known.
    """

    line = 1

    def __init__(self, code: str, message: str, *, column: str = "", value: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.column = column
        self.value = value
        self.header: tuple[str, ...] = ()
        self.rows: list[list[str]] = []

    def at(self, line: int) -> UnreadableError:
        """The same, once it is known where it happened."""
        self.line = line
        return self

    @property
    def error(self) -> LineError:
        """The same as a value."""
        return line_error(self.line, self.column, self.value, self.code, self.message)


class SheetChangedError(ValueError):
    """A file that was accepted cannot be read any more: it is not the file that was accepted."""
