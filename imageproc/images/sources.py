"""What is known of the URLs of an owner, so that nothing is fetched, compressed or stored twice.

Nothing is shared between owners. ``models.Picture`` holds what is known; a claim looks it up
(``look_up``), ``work`` uses it, ``record`` writes down what was found (``vouch``), and ``collect``
deletes what no image names any more (docs/adr/0010-sources.md).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from imageproc.images import store
from imageproc.models import Picture, StoredObject

log = logging.getLogger(__name__)
# Pictures judged, and pictures deleted, in one transaction.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Known:
    """The picture that was made of a source by the recipe at hand."""

    picture_id: UUID
    maker: UUID
    change: str
    etag: str
    last_modified: str
    source_sha256: str
    source_size: int
    kept_original: bool
    asked_at: datetime
    now: datetime
    output: StoredObject
    original: StoredObject | None

    @property
    def validators(self) -> dict[str, str]:
        """Headers of a conditional request (RFC 9110, 13.1)."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}

    @property
    def objects(self) -> list[StoredObject]:
        return [self.output, *([self.original] if self.original else [])]

    def is_fresh(self, max_age: int, since: datetime | None) -> bool:
        """Whether it was asked for within ``max_age`` seconds, or after ``since``."""
        young = max_age > 0 and self.asked_at >= self.now - timedelta(seconds=max_age)
        return young or (since is not None and self.asked_at >= since)


@dataclass(frozen=True, slots=True)
class Source:
    """One URL of one owner, as a job sees it. ``seen``: some recipe was used on it before."""

    id: UUID
    recipe: str
    seen: bool = False
    known: Known | None = None


def source_id(owner_id: int, url: str) -> UUID:
    """128 bits of BLAKE2 over the owner and the URL: another owner's are others."""
    return UUID(bytes=blake2b(f"{owner_id} {url}".encode(), digest_size=16).digest())


def recipe_digest(recipe: Mapping[str, Any], *, store_original: bool, name: str = "") -> str:
    """A digest of all that an object depends on beside its source's bytes. The name of a preset is
    not part of it, only what it stands for. ``name``: the one that the upload's pattern gave."""
    parts = {name: value for name, value in recipe.items() if name != "preset"}
    text = json.dumps([parts, store_original, *([name] if name else [])], sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def look_up(wanted: Collection[tuple[UUID, str]]) -> dict[tuple[UUID, str], Source]:
    """What is known of each (source, recipe). One query."""
    ids = {source for source, _ in wanted}
    rows = StoredObject.objects.filter(
        picture__in=Picture.objects.current(), picture__source__in=ids
    )
    found: dict[Picture, dict[str, Any]] = {}
    for row in rows.select_related("picture").annotate(now=Now()).order_by("picture_id"):
        found.setdefault(row.picture, {})[row.rendition] = row
    seen = {picture.source for picture in found}
    known = {
        (picture.source, picture.recipe): _known(picture, stored)
        for picture, stored in found.items()
        if StoredObject.OUTPUT in stored
    }
    return {pair: Source(*pair, pair[0] in seen, known.get(pair)) for pair in wanted}


def _known(picture: Picture, stored: Mapping[str, Any]) -> Known:
    output = stored[StoredObject.OUTPUT]
    return Known(
        picture_id=picture.id,
        maker=picture.maker,
        change=picture.change,
        etag=picture.etag,
        last_modified=picture.last_modified,
        source_sha256=picture.source_sha256,
        source_size=picture.source_size,
        kept_original=picture.kept_original,
        asked_at=picture.asked_at,
        now=output.now,
        output=output,
        original=stored.get(StoredObject.ORIGINAL),
    )


# --- What no image names any more -----------------------------------------------------------------
def collect(after_batch: Callable[[], object] = lambda: None) -> int:
    """Delete released pictures that no image names, with their objects. Pictures deleted.

    May be killed anywhere and run twice at once: a doomed picture stays doomed until its row goes,
    which is after its objects. Raises store.StoreError.
    """
    while True:
        with transaction.atomic():
            judged = Picture.objects.doom_unnamed(BATCH)
        after_batch()
        if judged < BATCH:
            break
    deleted = 0
    while ids := list(Picture.objects.doomed().order_by("id").values_list("id", flat=True)[:BATCH]):
        stored = StoredObject.objects.filter(picture__in=ids)
        store.delete_many(stored.values_list("key", flat=True))
        with transaction.atomic():
            stored.delete()
            deleted += Picture.objects.filter(id__in=ids).delete()[0]
        after_batch()
    return deleted


def collect_leftovers() -> int:
    """The same for what an earlier call left, which the storage may refuse again: the sweep asks
    for it until all is gone."""
    try:
        return collect()
    except store.StoreError as error:
        log.warning("objects not deleted: %s", error)
        return 0


def vouched(keys: Iterable[str]) -> set[str]:
    """Those of ``keys`` that belong to a picture which is not doomed."""
    kept = StoredObject.objects.filter(key__in=list(keys), picture__doomed_at=None)
    return set(kept.values_list("key", flat=True))
