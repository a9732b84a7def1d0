"""Values as lines of JSON, in gzip, whose checksum finds a file that was cut off."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from imageproc.archive.manifest import ArchiveError
from imageproc.images.store.files import write_whole


def write_lines(path: Path, values: Iterable[object]) -> None:
    """The file appears only as a whole."""
    write_whole(path, _compressed(values))


def _compressed(values: Iterable[object]) -> Iterator[bytes]:
    packer = zlib.compressobj(level=1, wbits=16 + zlib.MAX_WBITS)
    for value in values:
        yield packer.compress(json.dumps(value, default=_text).encode() + b"\n")
    yield packer.flush()


def _text(value: Any) -> str:
    """Times keep their microseconds, which Django's own encoder drops (ECMA-262)."""
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def read_lines(path: Path) -> Iterator[Any]:
    """Raises ArchiveError where the file is missing or damaged."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            yield from map(json.loads, file)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise ArchiveError(f"{path} is missing or damaged.") from error
