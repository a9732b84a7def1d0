"""The way of one image, from its host's answer to its objects."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from django.db import OperationalError, connection

from imageproc.faults import IMAGE_CORRUPT, Fault
from imageproc.images import store
from imageproc.images import work as working
from imageproc.images.claim import claim
from imageproc.images.crew import InHand
from imageproc.images.fetch.download import Body
from imageproc.images.outcome import Done, Failed
from imageproc.models import ProductImage
from imageproc.models.image import ImageQuerySet
from tests.support import build, pictures

pytestmark = pytest.mark.django_db
PICTURE = pictures.jpeg(1, (300, 200))
BODY = Body(PICTURE, "image/jpeg", 200, "shop.example", 5)


@pytest.mark.parametrize("keeps", [True, False])
def test_an_original_is_stored_under_its_digest_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, *, keeps: bool
) -> None:
    monkeypatch.setattr(working, "fetch", lambda *_: BODY)
    job = replace(build.job_of(build.request().images.get()), store_original=keeps)
    [done] = working.work(InHand(job))
    assert isinstance(done, Done)
    digest = hashlib.sha256(PICTURE).hexdigest()
    key = f"{job.stem}-original-{digest[:8]}.jpeg"
    assert (done.original_key, done.source_sha256) == (key if keeps else "", digest)
    assert (store.size(key) is not None) is keeps
    with store.open_read(done.output_key) as stored:
        assert hashlib.sha256(stored.read()).hexdigest() == done.output_sha256


@pytest.mark.parametrize("confirmed", [True, False])
def test_half_a_picture_is_final_only_where_its_length_was_confirmed(
    monkeypatch: pytest.MonkeyPatch, *, confirmed: bool
) -> None:
    half = replace(BODY, data=PICTURE[: len(PICTURE) // 2], length_confirmed=confirmed)
    monkeypatch.setattr(working, "fetch", lambda *_: half)
    [failed] = working.work(InHand(build.job_of(build.request().images.get())))
    assert isinstance(failed, Failed)
    assert (failed.fault.code, failed.fault.permanent) == ("image_truncated", confirmed)


@pytest.mark.django_db(transaction=True)
@pytest.mark.both_databases
@pytest.mark.parametrize("watched", [True, False])
def test_the_row_of_a_watched_image_says_that_it_is_in_the_codec(
    monkeypatch: pytest.MonkeyPatch, *, watched: bool
) -> None:
    """Committed before the codec has it, and taken back after: a death in between is the image's,
    one before or after is not. Any other image costs no commit."""
    seen: list[bool] = []
    monkeypatch.setattr(working, "fetch", lambda *_: BODY)

    def compress(*_: object) -> Fault:
        # Asked from another connection: only what is committed shows.
        with ThreadPoolExecutor() as other:
            seen.append(other.submit(in_codec).result())
        return IMAGE_CORRUPT

    monkeypatch.setattr(working, "compress", compress)
    build.request()
    [job] = claim()
    working.work(InHand(replace(job, watched=watched)))
    assert [*seen, in_codec()] == [watched, False]


def in_codec() -> bool:
    try:
        return ProductImage.objects.get().in_codec
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_does_not_fail_a_watched_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: object) -> bool:
        raise OperationalError("gone")

    monkeypatch.setattr(working, "fetch", lambda *_: BODY)
    monkeypatch.setattr(ImageQuerySet, "note_in_codec", away)
    build.request()
    [job] = claim()
    [done] = working.work(InHand(replace(job, watched=True, recipe={})))
    assert isinstance(done, Done)
