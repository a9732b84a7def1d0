"""The way of one image: fetch, compress, store. Runs on a crew's thread; touches no database."""

from __future__ import annotations

import hashlib
import logging
import threading
import time

from django.conf import settings

from imageproc.faults import INTERNAL, Fault
from imageproc.images import names, store
from imageproc.images.blackbox import BlackBox
from imageproc.images.claim import Job
from imageproc.images.compress import Budget, Recipe, Rendition, compress
from imageproc.images.crew import InHand, Step
from imageproc.images.fetch import Policy
from imageproc.images.fetch.download import Body, Limits, fetch
from imageproc.images.outcome import Done, Failed, Outcome

log = logging.getLogger(__name__)
# One image at a time fills the core that this process has.
_compressor = threading.Lock()


class Dropped(Exception):  # noqa: N818
    """The pump has handed the image back: stop without an outcome."""


def work(in_hand: InHand, box: BlackBox) -> Outcome | None:
    """Done or Failed; None where the pump has dropped the job meanwhile. Never raises."""
    started = time.monotonic()
    try:
        result = _process(in_hand, box)
    except Dropped:
        return None
    except Exception as error:  # any bug fails the one image, not the worker
        log.exception("image failed", extra={"image_id": str(in_hand.job.image_id)})
        result = INTERNAL.because(type(error).__name__)
    if isinstance(result, Fault):
        return Failed(in_hand.job, result, _ms_since(started))
    return result


def _process(in_hand: InHand, box: BlackBox) -> Done | Fault:
    _enter(in_hand, Step.FETCH)
    body = fetch(in_hand.job.url, Limits.from_settings(), Policy.from_settings())
    if isinstance(body, Fault):
        return body
    fetch_ms = _ms_since(in_hand.since)
    _enter(in_hand, Step.WAIT)
    with _compressor:
        _enter(in_hand, Step.COMPRESS)
        rendition = _compress(in_hand.job, body, box)
        compress_ms = _ms_since(in_hand.since)
        in_hand.enter(Step.STORE)
    if isinstance(rendition, Fault):
        return body.review(rendition)
    _enter(in_hand, Step.STORE)
    return _store(in_hand, body, rendition, fetch_ms, compress_ms)


def _compress(job: Job, body: Body, box: BlackBox) -> Rendition | Fault:
    with box.in_codec(job.image_id):
        return compress(body.data, Recipe(**job.recipe), _budget())


def _store(
    in_hand: InHand, body: Body, rendition: Rendition, fetch_ms: int, compress_ms: int
) -> Done | Fault:
    job = in_hand.job
    original_key = source_sha256 = ""
    if job.store_original:
        # Only of what is kept: it costs 1 to 3 ms a megabyte, and nobody could check it otherwise.
        source_sha256 = hashlib.sha256(body.data).hexdigest()
        original_key = names.original_key(job.stem, source_sha256, rendition.source_format)
        kept = store.put(original_key, body.data, f"image/{rendition.source_format}")
        if isinstance(kept, Fault):
            return kept
    key = names.rendition_key(job.stem, rendition.sha256, rendition.extension)
    stored = store.put(key, rendition.data, rendition.content_type)
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
        store_ms=_ms_since(in_hand.since),
    )


def _enter(in_hand: InHand, step: Step) -> None:
    if in_hand.dropped:
        raise Dropped
    in_hand.enter(step)


def _budget() -> Budget:
    return Budget(max_pixels=settings.MAX_IMAGE_PIXELS)


def _ms_since(moment: float) -> int:
    return round((time.monotonic() - moment) * 1000)
