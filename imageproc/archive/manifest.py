"""The last file of an archive to be written: what is in it, and which versions can read it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from imageproc.images.store.files import write_whole

# Raised only when an older version could not read what is written now. A new table or column is no
# reason: both are found by name.
FORMAT = 1
NAME = "archive.json"


class ArchiveError(Exception):
    """Why an archive cannot be written or read, as a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """``tables``: rows by table. ``objects`` and ``bytes``: how many objects are listed, and their
    size together. ``contents``: whether the objects themselves are in the archive."""

    version: str
    created_at: str
    tables: dict[str, int]
    objects: int
    bytes: int
    contents: bool
    format: int = FORMAT

    def save(self, folder: Path) -> None:
        write_whole(folder / NAME, [json.dumps(asdict(self), indent=2).encode() + b"\n"])


def load(folder: Path) -> Manifest:
    """Raises ArchiveError if there is no finished archive, or one of a later format."""
    try:
        found = json.loads((folder / NAME).read_bytes())
        if found["format"] > FORMAT:
            raise ArchiveError(
                f"This export was made by version {found['version']} in format {found['format']}. "
                f"This version reads format {FORMAT}: install {found['version']} or later."
            )
        return Manifest(**found)
    except FileNotFoundError as error:
        raise ArchiveError(f"{folder} holds no finished export: {NAME} is missing.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{folder / NAME} is damaged.") from error
