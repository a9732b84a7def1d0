"""Archive → service."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from django.db import DatabaseError, transaction

from imageproc.archive import manifest, objects, rows
from imageproc.archive.manifest import ArchiveError, Manifest
from imageproc.images import store
from imageproc.models import ClusterHeartbeat

NAMED = 5


def import_from(folder: Path, *, allow_missing: bool = False) -> Manifest:
    """Fill an empty, migrated database and an empty storage from an archive.

    Objects come first and rows in one transaction after them: an import that is broken off leaves
    no row that names a missing object, and may be run again. ``allow_missing``: of an archive
    without contents, import the rows even where the storage does not hold all that is listed.

    Raises ArchiveError or store.StoreError.
    """
    found = manifest.load(folder)
    _require_no_rows()
    store.prepare(create=found.contents)
    if found.contents:
        _require_no_other_objects(folder)
        objects.read_objects(folder)
    elif not allow_missing:
        _require_objects(folder)
    try:
        with transaction.atomic():
            rows.read_tables(folder, found.tables)
    except DatabaseError as error:
        reason = str(error).partition("\n")[0]
        raise ArchiveError(f"The database refuses a row of the export: {reason}.") from error
    return found


def _require_no_rows() -> None:
    if ClusterHeartbeat.objects.alive().exists():
        raise ArchiveError("Workers are running on this database. Stop them first.")
    filled = [model._meta.db_table for model in rows.tables() if model._base_manager.exists()]
    if filled:
        raise ArchiveError(
            f"The database is not empty: there are rows in {', '.join(filled)}. Import into a new "
            "database."
        )


def _require_no_other_objects(folder: Path) -> None:
    """Objects of this archive may be there, from an import that was broken off."""
    for key, _ in objects.stored_keys():
        if not objects.file_of(folder, key).is_file():
            raise ArchiveError(
                f"The storage is not empty: it holds {key}, which is not in the export. Import "
                "into a new bucket or folder."
            )


def _require_objects(folder: Path) -> None:
    missing = objects.missing_objects(folder)
    first = list(islice(missing, NAMED))
    if first:
        count = len(first) + sum(1 for _ in missing)
        raise ArchiveError(
            f"The storage does not hold {count} objects that the export lists: "
            f"{', '.join(first)}{' and others' if count > NAMED else ''}. Copy them there, or "
            "import with --allow-missing and process those images again."
        )
