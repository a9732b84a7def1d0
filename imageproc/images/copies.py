"""Images of one URL that have names of their own: it is fetched and compressed once, and each gets
an object of the same bytes under its name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from imageproc.faults import STORAGE_FAILED, Fault
from imageproc.images import names, reuse, storing
from imageproc.images.crew import InHand
from imageproc.images.job import Job
from imageproc.images.outcome import Done, Failed, Outcome
from imageproc.models import Change


def copies(in_hand: InHand, done: Done) -> Iterator[Outcome]:
    """The outcomes of ``job.copies``, each of its own object. Raises Dropped."""
    for job in in_hand.job.copies:
        in_hand.go_on()
        result = _unchanged(in_hand, job, done) or _copied(in_hand, job, done)
        yield Failed(job, result) if isinstance(result, Fault) else result


def _unchanged(in_hand: InHand, job: Job, done: Done) -> Done | None:
    """Its own picture from an earlier request, if it is of the same bytes."""
    known = job.source.known
    if known is None or known.source_sha256 != done.source_sha256:
        return None
    same = known.output.sha256 == done.output_sha256
    return reuse.unasked(job) if same and storing.holds(in_hand, known.objects) is True else None


def _copied(in_hand: InHand, job: Job, done: Done) -> Done | Fault:
    extension = done.output_key.rpartition(".")[2]
    key = names.rendition_key(job.stem, done.output_sha256, extension, job.name)
    fault = _copy(in_hand, done.output_key, key, done.output_sha256)
    original_key = ""
    if done.original_key and not fault:
        kind = done.original_key.rpartition(".")[2]
        original_key = names.original_key(job.stem, done.source_sha256, kind, job.name)
        fault = _copy(in_hand, done.original_key, original_key, done.source_sha256)
    if fault:
        return fault
    return replace(
        done,
        job=job,
        output_key=key,
        original_key=original_key,
        picture_id=None,
        change=(Change.CHANGED if job.source.known else Change.NEW).value,
        asked=False,
    )


def _copy(in_hand: InHand, source: str, target: str, sha256: str) -> Fault | None:
    data = storing.read(in_hand, source)
    if data is None:
        return STORAGE_FAILED.because("the object to copy is gone")
    if isinstance(data, Fault):
        return data
    stored = storing.put(in_hand, target, data, names.content_type(target))
    if isinstance(stored, Fault):
        return stored
    # What was damaged in the storage is not passed on.
    return None if stored.sha256 == sha256 else STORAGE_FAILED.because("the copy differs")
