"""The way of one image, from its host's answer to its objects."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from imageproc.images import store
from imageproc.images import work as working
from imageproc.images.blackbox import BlackBox
from imageproc.images.crew import InHand
from imageproc.images.fetch.download import Body
from imageproc.images.outcome import Done
from tests.support import build, pictures

pytestmark = pytest.mark.django_db
PICTURE = pictures.jpeg(1, (300, 200))


@pytest.mark.parametrize("keeps", [True, False])
def test_an_original_is_stored_under_its_digest_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, *, keeps: bool
) -> None:
    """Its digest takes longer than all else around the codec, and says something of it only."""
    body = Body(PICTURE, "image/jpeg", 200, "shop.example", 5)
    monkeypatch.setattr(working, "fetch", lambda *_: body)
    job = replace(build.job_of(build.request().images.get()), store_original=keeps)
    box = BlackBox()
    done = working.work(InHand(job), box)
    box.close(nothing_left=True)
    assert isinstance(done, Done)
    digest = hashlib.sha256(PICTURE).hexdigest()
    key = f"{job.stem}-original-{digest[:8]}.jpeg"
    assert (done.original_key, done.source_sha256) == ((key, digest) if keeps else ("", ""))
    assert store.exists(key) is keeps
    with store.open_read(done.output_key) as stored:
        assert hashlib.sha256(stored.read()).hexdigest() == done.output_sha256
