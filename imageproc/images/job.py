"""One claimed image, and all that the work on it needs, read while its row is locked.

Images of one request that have the same URL are one job: it is fetched and compressed once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings

from imageproc.images import names
from imageproc.images.sources import Source, look_up, recipe_digest, source_id
from imageproc.models import ImageStatus, ProductImage
from imageproc.models.image_states import attempts_without_end

# Siblings that one claim takes along. Another claim takes those beyond: it uses the picture if that
# is known by then, and makes it once more if not.
MOST_SIBLINGS = 500


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed image, with all that the work needs: no query is made while it is in hand."""

    image_id: UUID
    request_id: UUID
    owner_id: int
    lease_id: UUID
    url: str
    host: str
    attempt: int
    # What the keys of its objects begin with, and their name: see images.names.
    stem: str
    recipe: dict[str, Any]
    store_original: bool
    # What is known of its URL.
    source: Source
    # Its worker died in an earlier attempt: the row says when the image is in the codec.
    watched: bool = False
    # The slot that its host's pace leaves it, by the monotonic clock; 0: any time.
    starts_at: float = 0.0
    # It shows whether its host answers again.
    probe: bool = False
    # How often its host refused it while giving others.
    refusals: int = 0
    name: str = ""
    # Leased along with it: other images of the request that have its URL. Its outcome is theirs, or
    # they have names of their own and get copies of its object.
    siblings: tuple[UUID, ...] = ()
    copies: tuple[Job, ...] = ()
    # Nothing that was made before is used.
    refresh: bool = False
    # What is known was asked for lately enough: its host is not asked.
    is_fresh: bool = False

    @property
    def image_ids(self) -> tuple[UUID, ...]:
        return self.image_id, *self.siblings, *(copy.image_id for copy in self.copies)

    def alone(self) -> Job:
        """Without its copies."""
        return replace(self, copies=()) if self.copies else self

    def each(self) -> tuple[Job, ...]:
        """It and its copies, each alone."""
        return self.alone(), *self.copies


def lease(ids: list[UUID]) -> list[Job]:
    """Lease locked images, and their siblings with them. One job for each URL of a request."""
    if not ids:
        return []
    ids = ids + _siblings(ids)
    lease_id = uuid4()
    taken = ProductImage.objects.lease(ids, lease_id, settings.LEASE_SECONDS)
    assert taken == len(ids), "rows locked by this transaction cannot have moved"
    images = ProductImage.objects.filter(id__in=ids).order_by("id")
    groups: dict[Any, list[Any]] = {}
    for image in images.values_list(*_READ, named=True):
        groups.setdefault((image.request_id, image.same_url or image.id), []).append(image)
    # Images without a name of their own are served by the picture of the first.
    wanted = {
        image.id: _source_of(image)
        for group in groups.values()
        for image in (group if group[0].name else group[:1])
    }
    sources = look_up(set(wanted.values()))
    known = {id_: sources[pair] for id_, pair in wanted.items()}
    return [_job_of_group(group, lease_id, known) for group in groups.values()]


def _job_of_group(images: list[Any], lease_id: UUID, sources: dict[UUID, Source]) -> Job:
    """Of images of one request that have one URL."""
    first, *others = images
    job = _job(first, lease_id, sources[first.id])
    if not others:
        return job
    if not first.name:
        return replace(job, siblings=tuple(image.id for image in others))
    copies = tuple(_job(image, lease_id, sources[image.id]) for image in others)
    fresh = job.is_fresh and all(copy.is_fresh for copy in copies)
    return replace(job, copies=copies, is_fresh=fresh)


def _siblings(ids: list[UUID]) -> list[UUID]:
    """Lock other waiting images of the same requests that have one of the same URLs. No query
    where no URL stands twice in a request."""
    claimed = ProductImage.objects.filter(id__in=ids, same_url__isnull=False)
    pairs = set(claimed.values_list("request_id", "same_url"))
    if not pairs:
        return []
    requests, urls = ({pair[n] for pair in pairs} for n in (0, 1))
    waiting = ProductImage.objects.filter(
        request_id__in=requests, same_url__in=urls, status=ImageStatus.PENDING
    )
    others = waiting.exclude(id__in=ids).select_for_update(skip_locked=True, of=("self",))
    rows = others.order_by("id").values_list("id", "request_id", "same_url")[:MOST_SIBLINGS]
    return [id_ for id_, *pair in rows if tuple(pair) in pairs]


def _source_of(image: Any) -> tuple[UUID, str]:
    return (
        image.same_url or source_id(image.request__owner_id, image.input_url),
        recipe_digest(
            image.request__recipe,
            store_original=image.request__store_originals,
            name=image.name,
        ),
    )


# What a Job is made of, and no more: model instances would cost 0.2 ms an image.
_READ = (
    *("id", "request_id", "input_url", "host", "position", "name", "same_url", "picture_id"),
    *("attempts", "store_failures", "fetch_failures", "refusals"),
    *("product__serial_number", "product__product_name"),
    *("request__owner_id", "request__recipe", "request__store_originals"),
    *("request__max_age", "request__refresh", "request__created_at"),
)


def _job(image: Any, lease_id: UUID, source: Source) -> Job:
    # An image that had a picture is processed again because somebody asked for that.
    refresh = image.request__refresh or image.picture_id is not None
    # Within a request a URL is not asked for again once its picture is known.
    since = image.request__created_at if image.same_url else None
    known = source.known
    return Job(
        image_id=image.id,
        request_id=image.request_id,
        owner_id=image.request__owner_id,
        lease_id=lease_id,
        url=image.input_url,
        host=image.host,
        attempt=image.attempts,
        stem=_stem_of(image),
        name=image.name,
        recipe=image.request__recipe,
        store_original=image.request__store_originals,
        source=source,
        watched=attempts_without_end(image) > 1,
        refusals=image.refusals,
        refresh=refresh,
        is_fresh=bool(known and known.is_fresh(0 if refresh else image.request__max_age, since))
        and image.picture_id is None,
    )


def _stem_of(image: Any) -> str:
    if image.name:
        return names.named_stem(image.request_id, image.id)
    return names.image_stem(
        image.request_id,
        image.id,
        serial_number=image.product__serial_number,
        product_name=image.product__product_name,
        position=image.position,
    )
