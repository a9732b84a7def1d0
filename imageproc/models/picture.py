"""What a URL of an owner gave at one time, and the objects that one recipe made of it.

Many images may name one picture: those of later requests whose source was found unchanged. A
picture and its objects live as long as an image names it (docs/adr/0010-sources.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from imageproc.models.ids import uuid7
from imageproc.models.request import ProcessingRequest


class Change(models.TextChoices):
    """How an image's result compares with what its URL gave before. "" on images from older
    versions."""

    NEW = "new", "The URL was not known"
    CHANGED = "changed", "Another object than before"
    UNCHANGED = "unchanged", "The same object as before"


class PictureQuerySet(models.QuerySet["Picture"]):
    def current(self) -> PictureQuerySet:
        """Pictures that may be used again: the newest of each source and recipe."""
        return self.filter(current=True, doomed_at=None)

    def lock(self, ids: Iterable[UUID]) -> tuple[set[UUID], set[UUID]]:
        """Lock pictures in the order of their ids, inside a transaction, so that none is doomed
        before it ends. Returns (locked, locked by another session); the others are gone or
        doomed."""
        usable = self.filter(id__in=list(ids), doomed_at=None)
        rows = usable.order_by("id").select_for_update(skip_locked=True, no_key=True)
        locked = set(rows.values_list("id", flat=True))
        return locked, set(usable.values_list("id", flat=True)) - locked

    def replace(self, sources: Iterable[UUID], new: Collection[UUID]) -> None:
        """The pictures ``new`` take the place of older ones of the same source and recipe. One that
        another session has locked stays beside it: the newest counts."""
        rows = self.filter(source__in=list(sources), current=True).order_by("id")
        rows = rows.select_for_update(skip_locked=True, no_key=True)
        found = list(rows.values_list("id", "source", "recipe"))
        fresh = {(source, recipe) for id_, source, recipe in found if id_ in new}
        old = [i for i, source, recipe in found if i not in new and (source, recipe) in fresh]
        self.filter(id__in=old).update(current=False)

    def release(self, ids: Iterable[UUID]) -> None:
        """Images have ceased to name these pictures. Call it in the transaction that does so, or
        nobody would look at them again."""
        rows = self.filter(id__in=list(ids)).order_by("id").select_for_update(no_key=True)
        self.filter(id__in=list(rows.values_list("id", flat=True))).update(released=True)

    def to_collect(self) -> PictureQuerySet:
        return self.filter(Q(released=True) | Q(doomed_at__isnull=False))

    def doom_unnamed(self, limit: int) -> int:
        """Judge released pictures: those that no image names and whose maker is gone are doomed for
        ever. Returns how many were judged. Inside a transaction.

        The lock is taken before the images are looked at, and whoever lets an image name a picture
        locks it, too: so an image that names a doomed picture cannot be committed.
        """
        released = self.filter(released=True, doomed_at=None).order_by("id")
        ids = list(released.select_for_update().values_list("id", flat=True)[:limit])
        images = self.model._meta.get_field("images").related_model
        makers = ProcessingRequest.objects.kept().filter(id=OuterRef("maker"))
        named = Exists(images._default_manager.filter(picture=OuterRef("pk")))
        judged = self.filter(id__in=ids)
        judged.filter(~named, ~Exists(makers)).update(doomed_at=Now(), current=False)
        judged.update(released=False)
        return len(ids)

    def doomed(self) -> PictureQuerySet:
        return self.filter(doomed_at__isnull=False)


class Picture(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # images.sources: the digest of owner and URL, and that of all that an object depends on beside
    # the source's bytes.
    source = models.UUIDField()
    recipe = models.CharField(max_length=32)
    # The request that made the objects, whose folder they lie in. It may be gone.
    maker = models.UUIDField()
    change = models.CharField(max_length=9, choices=Change)
    # Of the source as it was last asked for. The validators are "" where it has none.
    etag = models.CharField(max_length=255, blank=True)
    last_modified = models.CharField(max_length=64, blank=True)
    source_sha256 = models.CharField(max_length=64)
    source_size = models.PositiveIntegerField()
    asked_at = models.DateTimeField()
    made_at = models.DateTimeField(db_default=Now())
    # The source was smaller than the result and is the object itself.
    kept_original = models.BooleanField(default=False)
    current = models.BooleanField(default=True)
    # Images have ceased to name it: somebody has to look whether others do.
    released = models.BooleanField(default=False)
    # No image names it, and none may ever again: its objects are being deleted.
    doomed_at = models.DateTimeField(null=True, blank=True)

    objects = PictureQuerySet.as_manager()

    class Meta:
        indexes = (
            # The claim.
            models.Index(name="picture_of_source", fields=("source",), condition=Q(current=True)),
            # The removal of a request.
            models.Index(name="picture_of_maker", fields=("maker",)),
            models.Index(
                name="picture_to_collect",
                fields=("id",),
                condition=Q(released=True) | Q(doomed_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return str(self.id)


class StoredObject(models.Model):
    """One object of a picture. Its key belongs to no other picture."""

    # The rendition that an image's output URL leads to, and the source's own bytes.
    OUTPUT = ""
    ORIGINAL = "original"

    picture = models.ForeignKey(Picture, models.CASCADE, related_name="stored", db_index=False)
    rendition = models.CharField(max_length=40, blank=True, default=OUTPUT)
    key = models.CharField(max_length=512)
    # Bytes, lower-case hex, pixels; an original's pixels are not kept.
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    content_type = models.CharField(max_length=40)
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(name="object_once", fields=("picture", "rendition")),
            models.UniqueConstraint(name="object_key", fields=("key",)),
        )

    def __str__(self) -> str:
        return self.key
