"""Service → archive."""

from __future__ import annotations

from pathlib import Path

from django.utils import timezone

from imageproc import __version__
from imageproc.archive import objects, rows
from imageproc.archive.manifest import ArchiveError, Manifest


def export_to(folder: Path, *, contents: bool = True) -> Manifest:
    """Write an archive into a new or empty folder; the service may run meanwhile.

    Rows come first, as of one moment. Whatever they name was stored before them, so that the
    objects, copied after them, are all there. Raises ArchiveError, store.StoreError or OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ArchiveError(f"{folder} is not empty. Export into a new folder.")
    moment = timezone.now()
    with rows.snapshot():
        tables = {m._meta.db_table: rows.write_table(m, folder) for m in rows.tables()}
    count, size = objects.write_objects(folder, contents=contents)
    manifest = Manifest(__version__, moment.isoformat(), tables, count, size, contents)
    manifest.save(folder)
    return manifest
