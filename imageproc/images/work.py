"""The way of one image: fetch, compress, store. Runs on a crew's thread."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from django.conf import settings
from django.db import connection

from imageproc.faults import INTERNAL, Fault
from imageproc.images import names, reuse, storing
from imageproc.images.access import access
from imageproc.images.compress import Budget, Recipe, Rendition, compress
from imageproc.images.copies import copies
from imageproc.images.crew import Dropped, InHand, Step
from imageproc.images.database import DB_UNAVAILABLE
from imageproc.images.fetch import Policy
from imageproc.images.fetch.download import (
    Body,
    Limits,
    NotModified,
    fetch,
    fetch_unless_unchanged,
)
from imageproc.images.job import Job
from imageproc.images.outcome import Done, Failed, Outcome
from imageproc.images.sources import Known
from imageproc.models import Change, ProductImage

log = logging.getLogger(__name__)
# One image at a time fills the core that this process has.
_compressor = threading.Lock()


def work(in_hand: InHand) -> list[Outcome]:
    """One outcome, and one for each of the job's copies; none where the pump has taken the image
    back meanwhile. Never raises."""
    started = time.monotonic()
    try:
        result = _process(in_hand)
        if isinstance(result, Done):
            alone = replace(result, job=in_hand.job.alone())
            return [alone, *copies(in_hand, result)]
    except Dropped:
        return []
    except Exception as error:  # any bug fails the one image, not the worker
        log.exception("image failed", extra={"image_id": str(in_hand.job.image_id)})
        result = INTERNAL.because(type(error).__name__)
    took = round((time.monotonic() - started) * 1000)
    return [Failed(in_hand.job, result, took, in_hand.asked_at)]


def _process(in_hand: InHand) -> Done | Fault:
    job = in_hand.job
    known = None if job.refresh else job.source.known
    in_hand.enter(Step.FETCH)
    got = _fetch(job, known)
    if known and (done := _unchanged(in_hand, known, got)):
        return done
    if isinstance(got, NotModified):  # of no use, because what was made of it is gone
        got = _fetch(job, None)
    assert not isinstance(got, NotModified)
    return got if isinstance(got, Fault) else _make(in_hand, got)


def _fetch(job: Job, known: Known | None) -> Body | NotModified | Fault:
    limits, policy = Limits.from_settings(), Policy.from_settings()
    secrets = access.headers(job.host, job.owner_id)
    if known and known.validators:
        return fetch_unless_unchanged(job.url, limits, policy, secrets, known.validators)
    return fetch(job.url, limits, policy, secrets)


def _unchanged(
    in_hand: InHand, known: Known, got: Body | NotModified | Fault
) -> Done | Fault | None:
    """The outcome where the source is unchanged and what was made of it is stored; else None."""
    if isinstance(got, Fault):
        return None
    if isinstance(got, Body) and digest_of(got.data) != known.source_sha256:
        return None
    stored = storing.holds(in_hand, known.objects)
    if isinstance(stored, Fault):
        return stored
    return reuse.unchanged(in_hand, known, got.validators) if stored else None


def digest_of(data: bytes) -> str:
    """SHA-256: 0.7 ms a megabyte."""
    return hashlib.sha256(data).hexdigest()


def _make(in_hand: InHand, body: Body) -> Done | Fault:
    job, fetch_ms = in_hand.job, in_hand.milliseconds()
    in_hand.enter(Step.WAIT)
    with _compressor:
        in_hand.enter(Step.COMPRESS)
        with _noted_in_codec(job):
            rendition = compress(body.data, Recipe(**job.recipe), Budget(settings.MAX_IMAGE_PIXELS))
        compress_ms = in_hand.milliseconds()
        in_hand.enter(Step.STORE)
    if isinstance(rendition, Fault):
        return body.review(rendition)
    # Also where all was to be made anew: the same result has the same link.
    known = job.source.known
    same = known is not None and known.output.sha256 == rendition.sha256
    if known and same and (done := _unchanged(in_hand, known, body)):
        return done
    return _store(in_hand, body, rendition, fetch_ms, compress_ms)


@contextmanager
def _noted_in_codec(job: Job) -> Iterator[None]:
    """While this lasts, the row of a watched image says that it is in the codec: should the worker
    die now, the sweep that returns its images knows which one to blame, on any machine.

    Two commits, on a connection of this thread; only for images that were in hand at a death.
    """
    if not job.watched:
        yield
        return
    try:
        _note(job, in_codec=True)
        yield
    finally:
        _note(job, in_codec=False)
        connection.close()


def _note(job: Job, *, in_codec: bool) -> None:
    """While the database is away nothing is noted: then a death is nobody's fault."""
    with suppress(*DB_UNAVAILABLE):
        ProductImage.objects.note_in_codec(job.image_id, job.lease_id, in_codec)


def _store(
    in_hand: InHand,
    body: Body,
    rendition: Rendition,
    fetch_ms: int,
    compress_ms: int,
) -> Done | Fault:
    job, source_sha256, original_key = in_hand.job, digest_of(body.data), ""
    if job.store_original:
        original_key = names.original_key(
            job.stem, source_sha256, rendition.source_format, job.name
        )
        kept = storing.put(in_hand, original_key, body.data, f"image/{rendition.source_format}")
        if isinstance(kept, Fault):
            return kept
    key = names.rendition_key(job.stem, rendition.sha256, rendition.extension, job.name)
    stored = storing.put(in_hand, key, rendition.data, rendition.content_type)
    if isinstance(stored, Fault):
        return stored
    return Done(
        job=job,
        output_key=stored.key,
        output_size=stored.size,
        output_sha256=stored.sha256,
        content_type=rendition.content_type,
        width=rendition.width,
        height=rendition.height,
        input_size=len(body.data),
        source_sha256=source_sha256,
        kept_original=rendition.kept_original,
        original_key=original_key,
        fetch_ms=fetch_ms,
        compress_ms=compress_ms,
        store_ms=in_hand.milliseconds(),
        change=(Change.CHANGED if job.source.seen else Change.NEW).value,
        etag=body.validators.etag,
        last_modified=body.validators.last_modified,
        asked_at=in_hand.asked_at,
    )
