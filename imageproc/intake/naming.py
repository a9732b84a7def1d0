"""Names for the images of a file, and whether two of them would get the same one."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from imageproc import sheet
from imageproc.images.patterns import Pattern, same_file_key

_PARTS = 64


class Clash(NamedTuple):
    """The name that two images would get; the row of each as a spreadsheet shows it, and the line
    it begins at."""

    name: str
    rows: tuple[int, int]
    lines: tuple[int, int]


def stems(pattern: Pattern, form: sheet.SheetFormat, row: sheet.Row, number: int) -> Iterator[str]:
    """The names of a row's images, in their order, without the extension and before their digests
    are known. ``number``: its place among the accepted rows, from 1."""
    columns = form.columns_of(len(row.urls), row.places)
    for position, column in enumerate(columns, 1):
        yield pattern.stem(
            serial=row.serial_number,
            name=row.product_name,
            position=position,
            column=column,
            row=number,
        )


class NameCheck:
    """Watches a sheet being read: 8 bytes for each name. Which rows it was takes a second reading,
    which only a file with a clash needs."""

    def __init__(self, pattern: Pattern) -> None:
        self._pattern = pattern
        # The hash is keyed per process (PEP 456): nobody can craft names that collide. In parts, so
        # that few are unpacked at once.
        self._hashes = [array("q") for _ in range(_PARTS)]

    def watch(self, checked: sheet.Sheet, items: Iterable[object]) -> Iterator[object]:
        for item in items:
            if isinstance(item, sheet.Row):
                for stem in self._stems(checked, item):
                    digest = hash(same_file_key(stem))
                    self._hashes[digest % _PARTS].append(digest)
            yield item

    def clash(self, reread: Callable[[], sheet.Sheet]) -> Clash | None:
        """The first two images with one name. ``reread``: opens the sheet once more."""
        twice = {digest for part in self._hashes for digest in _repeated(part)}
        if not twice:
            return None
        again = reread()
        first: dict[str, tuple[int, int]] = {}
        for item in again:
            if not isinstance(item, sheet.Row):
                continue
            for stem in self._stems(again, item):
                key, here = same_file_key(stem), (again.row_number, item.line)
                if hash(key) in twice and (there := first.setdefault(key, here)) is not here:
                    return Clash(stem, (there[0], here[0]), (there[1], here[1]))
        return None

    def _stems(self, checked: sheet.Sheet, row: sheet.Row) -> Iterator[str]:
        assert checked.format is not None  # it has rows
        return stems(self._pattern, checked.format, row, checked.summary.rows)


def _repeated(digests: array[int]) -> set[int]:
    once: set[int] = set()
    twice: set[int] = set()
    for digest in digests:
        (twice if digest in once else once).add(digest)
    return twice
