"""Which picture each completed image names, inside the transaction that records it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from imageproc.images import names
from imageproc.images.outcome import Done
from imageproc.models import Change, Picture, ProductImage, StoredObject
from imageproc.models.bulk import update_rows


@dataclass(slots=True)
class Naming:
    """The images for which one Done is recorded. ``picture_id``: of the picture that is used again,
    None for one that was made now; ``gone``: it is doomed, ``locked``: another session has it."""

    done: Done
    images: Sequence[ProductImage]
    picture_id: UUID | None = field(init=False)
    gone: bool = False
    locked: bool = False

    def __post_init__(self) -> None:
        self.picture_id = self.done.picture_id


def hold(namings: Sequence[Naming]) -> None:
    """Lock the pictures that are used again, so that none is doomed before the commit."""
    _find_own(namings)
    if not (used := {x.picture_id for x in namings if x.picture_id}):
        return
    held, elsewhere = Picture.objects.lock(used)
    for naming in namings:
        naming.locked = naming.picture_id in elsewhere
        naming.gone = bool(naming.picture_id) and naming.picture_id not in held | elsewhere


def _find_own(namings: Sequence[Naming]) -> None:
    """An image that is processed again may come to the same bytes, and so to the same key, as in an
    earlier attempt: its picture from then is used again, because a key belongs to one picture."""
    again = [x for x in namings if not x.picture_id and any(i.picture_id for i in x.images)]
    if again:
        keys = [naming.done.output_key for naming in again]
        owners = dict(StoredObject.objects.filter(key__in=keys).values_list("key", "picture_id"))
        for naming in again:
            naming.picture_id = owners.get(naming.done.output_key)


def write(namings: Sequence[Naming], now: datetime) -> None:
    """Let the images name their pictures; new ones are written. ``now``: by the database."""
    new: list[Picture] = []
    stored: list[StoredObject] = []
    released: set[UUID] = set()
    reused = [naming for naming in namings if naming.picture_id]
    asked = [Picture(id=n.picture_id, **_facts(n.done, now)) for n in reused if n.done.asked]
    for naming in namings:
        if naming.picture_id is None:
            new.append(_picture(naming.done, _facts(naming.done, now)))
            stored += _objects(new[-1], naming.done)
            naming.picture_id = new[-1].id
        for image in naming.images:
            if image.picture_id not in (None, naming.picture_id):
                released.add(image.picture_id)
            image.picture_id = naming.picture_id
    Picture.objects.bulk_create(new)
    StoredObject.objects.bulk_create(stored)
    _doom([_under_own_keys(n.done) for n in reused if n.done.job.watched], now)
    update_rows(Picture, ("asked_at", "etag", "last_modified"), asked)
    if replaced := [picture.source for picture in new if picture.change == Change.CHANGED]:
        Picture.objects.replace(replaced, {picture.id for picture in new})
    if released:
        Picture.objects.release(released)


def _under_own_keys(done: Done) -> Done:
    """The outcome, had the image not used a picture again but stored one under its own keys."""
    stem, name, extension = done.job.stem, done.job.name, done.output_key.rpartition(".")[2]
    original_key = ""
    if done.original_key:
        kind = done.original_key.rpartition(".")[2]
        original_key = names.original_key(stem, done.source_sha256, kind, name)
    output_key = names.rendition_key(stem, done.output_sha256, extension, name)
    return replace(done, output_key=output_key, original_key=original_key)


def _doom(leftovers: Sequence[Done], now: datetime) -> None:
    """Have ``sources.collect`` delete what a worker stored for an image before it died. Its next
    worker used another image's picture, so that no row names these objects."""
    keys = [leftover.output_key for leftover in leftovers]
    named = set(StoredObject.objects.filter(key__in=keys).values_list("key", flat=True))
    lost = [leftover for leftover in leftovers if leftover.output_key not in named]
    never_named = {"current": False, "doomed_at": now}
    doomed = [_picture(done, _facts(done, now) | never_named) for done in lost]
    Picture.objects.bulk_create(doomed)
    pairs = zip(doomed, lost, strict=True)
    StoredObject.objects.bulk_create(row for pair in pairs for row in _objects(*pair))


def _facts(done: Done, now: datetime) -> dict[str, object]:
    """What its host said of the source."""
    asked_at = now - timedelta(seconds=time.monotonic() - done.asked_at)
    return {"asked_at": asked_at, "etag": done.etag, "last_modified": done.last_modified}


def _picture(done: Done, facts: dict[str, object]) -> Picture:
    return Picture(
        source=done.job.source.id,
        recipe=done.job.source.recipe,
        maker=done.job.request_id,
        change=done.change,
        source_sha256=done.source_sha256,
        source_size=done.input_size,
        kept_original=done.kept_original,
        **facts,
    )


def _objects(picture: Picture, done: Done) -> list[StoredObject]:
    objects = [
        StoredObject(
            picture=picture,
            key=done.output_key,
            size=done.output_size,
            sha256=done.output_sha256,
            content_type=done.content_type,
            width=done.width,
            height=done.height,
        )
    ]
    if done.original_key:
        extension = done.original_key.rpartition(".")[2]
        objects.append(
            StoredObject(
                picture=picture,
                rendition=StoredObject.ORIGINAL,
                key=done.original_key,
                size=done.input_size,
                sha256=done.source_sha256,
                content_type=f"image/{extension}"[:40],
            )
        )
    return objects
