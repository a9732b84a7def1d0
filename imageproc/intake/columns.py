"""The columns that an owner chose for a header, kept for the next file with the same header."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from django.db.models.functions import Now

from imageproc import sheet
from imageproc.models import ColumnMapping

# Saved headers of one owner that are looked at.
MAX_SAVED = 1000


def saved_choices(owner_id: int) -> dict[str, sheet.Choice]:
    """An owner's choices by the digest of their header. One query."""
    rows = ColumnMapping.objects.filter(owner_id=owner_id).order_by("-saved_at")[:MAX_SAVED]
    return {
        row.header_digest: sheet.Choice(tuple(row.images), row.serial, row.name) for row in rows
    }


def wanted(
    owner_id: int, caller: sheet.Choice | None, base: str, worksheet: str = ""
) -> sheet.Wanted:
    """What is known of the columns before a file is opened."""
    saved = saved_choices(owner_id)
    return sheet.Wanted(
        caller, lambda header: saved.get(digest_of(header)) if saved else None, base, worksheet
    )


def save(owner_id: int, header: Sequence[str], choice: sheet.Choice) -> None:
    """Keep a choice for all files of this owner with this header."""
    ColumnMapping.objects.update_or_create(
        owner_id=owner_id,
        header_digest=digest_of(header),
        defaults={
            "header": list(header),
            "images": list(choice.images),
            "serial": choice.serial,
            "name": choice.name,
            "saved_at": Now(),
        },
    )


def forget(owner_id: int, header: Sequence[str]) -> None:
    """The columns of files with this header are found anew."""
    ColumnMapping.objects.filter(owner_id=owner_id, header_digest=digest_of(header)).delete()


def digest_of(header: Sequence[str]) -> str:
    """The same for headers that differ in case, blanks and dashes only."""
    return hashlib.sha256("\x1f".join(map(sheet.plain, header)).encode()).hexdigest()
