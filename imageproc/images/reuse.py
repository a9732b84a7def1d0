"""The outcome of an image whose source is unchanged: nothing was compressed, nothing stored."""

from __future__ import annotations

import time

from imageproc.images.crew import InHand
from imageproc.images.fetch.download import Validators
from imageproc.images.job import Job
from imageproc.images.outcome import Done
from imageproc.images.sources import Known
from imageproc.models import Change


def unchanged(in_hand: InHand, known: Known, validators: Validators) -> Done:
    """Its host was asked. A 304 may leave out validators that have not changed."""
    return _done(
        in_hand.job,
        known,
        etag=validators.etag or known.etag,
        last_modified=validators.last_modified or known.last_modified,
        fetch_ms=round(1000 * (time.monotonic() - in_hand.asked_at)),
        asked_at=in_hand.asked_at,
    )


def unasked(job: Job) -> Done:
    """What is known of the job's source is fresh: its host was not asked."""
    assert job.source.known is not None
    return _done(job, job.source.known, asked=False)


def _done(job: Job, known: Known, **facts: object) -> Done:
    output, original = known.output, known.original
    # What an earlier image of the same request made is as new for this one.
    change = known.change if known.maker == job.request_id else Change.UNCHANGED.value
    return Done(
        job=job,
        output_key=output.key,
        output_size=output.size,
        output_sha256=output.sha256,
        content_type=output.content_type,
        width=output.width or 0,
        height=output.height or 0,
        input_size=known.source_size,
        source_sha256=known.source_sha256,
        kept_original=known.kept_original,
        original_key=original.key if original else "",
        change=change,
        picture_id=known.picture_id,
        **facts,  # type: ignore[arg-type]
    )
