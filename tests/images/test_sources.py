"""Nothing is fetched, compressed or stored twice, and what somebody names is never deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db.models.functions import Now
from pytest_django import Settings

from imageproc.images import job as leasing
from imageproc.images import reuse, sources, store, sweep
from imageproc.images import work as working
from imageproc.images.claim import claim
from imageproc.images.crew import InHand
from imageproc.images.job import Job
from imageproc.images.outcome import Outcome
from imageproc.images.record import record
from imageproc.models import Picture, ProcessingRequest, ProductImage, StoredObject
from imageproc.requests import operations, removal
from tests.support import build, pictures
from tests.support.origin import Origin

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
ONE, OTHER = pictures.jpeg(1, (300, 200)), pictures.jpeg(2, (300, 200))


@pytest.fixture(autouse=True)
def _loopback(settings: Settings, origin: Origin) -> None:
    settings.OUTBOUND_ALLOW_CIDRS = ["127.0.0.0/8"]
    settings.OUTBOUND_ALLOW_PORTS = [origin.port]


def request_of(url: str, images: int = 1, **fields: Any) -> ProcessingRequest:
    made = build.request(images, **fields)
    same = sources.source_id(made.owner_id, url) if images > 1 else None
    made.images.update(input_url=url, host="127.0.0.1", same_url=same)
    return made


def outcomes_of(jobs: Iterable[Job]) -> list[Outcome]:
    """As the pump comes by them."""
    return [
        outcome
        for job in jobs
        for outcome in (
            map(reuse.unasked, job.each()) if job.is_fresh else working.work(InHand(job))
        )
    ]


def process() -> list[Outcome]:
    """All that is due."""
    outcomes = outcomes_of(claim())
    record(outcomes)
    return outcomes


def run(url: str, images: int = 1, **fields: Any) -> ProcessingRequest:
    made = request_of(url, images, **fields)
    process()
    made.refresh_from_db()
    return made


def counts(of: ProcessingRequest) -> tuple[int, int, int]:
    of.refresh_from_db()
    return of.new_images, of.changed_images, of.unchanged_images


def key_of(of: ProcessingRequest) -> str:
    [key] = set(of.images.values_list("output_key", flat=True))
    return str(key)


def _is_stored(key: str) -> bool:
    return store.size(key) is not None


def erase(of: ProcessingRequest) -> None:
    operations.remove(of.id)
    removal.erase(of.id)


@pytest.mark.parametrize("tag", [{"ETag": '"1"'}, {}], ids=["304", "same bytes"])
def test_an_unchanged_picture_is_neither_compressed_nor_stored_and_keeps_its_link(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, tag: dict[str, str]
) -> None:
    url = origin.serve("/a.jpg", ONE, headers=tag)
    first = run(url)
    monkeypatch.setattr(working, "compress", None)
    second = run(url)
    assert (counts(first), counts(second)) == ((1, 0, 0), (0, 0, 1))
    facts = [of.images.values(*FACTS).get() for of in (first, second)]
    assert facts[0] == facts[1]
    assert origin.hits["/a.jpg"] == 2
    assert StoredObject.objects.count() == Picture.objects.count() == 1


FACTS = (
    *("output_key", "output_size", "output_sha256", "source_sha256", "input_size", "content_type"),
    *("width", "height", "picture_id"),
)


def test_a_changed_picture_is_made_anew_and_is_the_one_that_counts(origin: Origin) -> None:
    url = origin.serve("/a.jpg", ONE, headers={"ETag": '"1"'})
    first = run(url)
    origin.serve("/a.jpg", OTHER, headers={"ETag": '"2"'})
    second, third = run(url), run(url)
    assert (counts(second), counts(third)) == ((0, 1, 0), (0, 0, 1))
    assert key_of(first) != key_of(second) == key_of(third)
    assert [Picture.objects.current().get().etag, Picture.objects.count()] == ['"2"', 2]


def test_nothing_is_shared_between_owners(origin: Origin) -> None:
    url = origin.serve("/a.jpg", ONE, headers={"ETag": '"1"'})
    mine, other = run(url), run(url, owner=build.owner("petra"))
    assert (counts(other), origin.asked[-1].headers.get("if-none-match")) == ((1, 0, 0), None)
    assert key_of(mine) != key_of(other)


@pytest.mark.parametrize(
    ("options", "hits", "counted"),
    [
        ({"recipe": {"quality": 31}}, 2, (0, 1, 0)),
        ({"recipe": {"preset": "catalog", "quality": 30}}, 2, (0, 1, 0)),
        ({"store_originals": True}, 2, (0, 1, 0)),
        ({"max_age": 60}, 1, (0, 0, 1)),
        ({"refresh": True}, 2, (0, 0, 1)),
        ({"refresh": True, "max_age": 60}, 2, (0, 0, 1)),
    ],
)
def test_what_is_asked_for_and_made_again(
    origin: Origin, options: dict[str, Any], hits: int, counted: tuple[int, int, int]
) -> None:
    """Another recipe asks without a condition: a 304 would be of no use."""
    url = origin.serve("/a.jpg", ONE, headers={"ETag": '"1"'})
    first = run(url)
    second = run(url, **options)
    assert (origin.hits["/a.jpg"], counts(second)) == (hits, counted)
    assert (key_of(first) == key_of(second)) is (counted[2] == 1)
    conditional = [asked.headers.get("if-none-match") for asked in origin.asked]
    assert conditional == [None] * hits


def test_what_is_gone_from_the_storage_is_made_again(origin: Origin) -> None:
    url = origin.serve("/a.jpg", ONE, headers={"ETag": '"1"'})
    first = run(url)
    store.delete_many([key_of(first)])
    second = run(url)
    assert [asked.headers.get("if-none-match") for asked in origin.asked] == [None, '"1"', None]
    assert counts(second) == (0, 1, 0)
    assert _is_stored(key_of(second))


def test_a_304_that_nobody_asked_for_is_asked_again(origin: Origin) -> None:
    nothing = b"HTTP/1.1 304 Not Modified\r\n\r\n"
    body = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ONE), ONE)
    origin.raw("/a.jpg", nothing, body)
    assert counts(run(f"{origin.url}/a.jpg")) == (1, 0, 0)
    origin.raw("/b.jpg", nothing)
    failed = run(f"{origin.url}/b.jpg")
    assert failed.images.get().error_code == "http_refused"


def test_an_image_that_is_processed_again_asks_in_full(origin: Origin) -> None:
    url = origin.serve("/a.jpg", ONE, headers={"ETag": '"1"'})
    of = run(url, max_age=60)
    key = key_of(of)
    assert operations.rerun(of.images.get().id)
    assert counts(of) == (0, 0, 0)
    process()
    assert (counts(of), key_of(of), origin.hits["/a.jpg"]) == ((1, 0, 0), key, 2)
    assert origin.asked[-1].headers.get("if-none-match") is None


# --- Within a request -----------------------------------------------------------------------------
def test_a_url_that_stands_often_is_fetched_once(origin: Origin) -> None:
    of = request_of(origin.serve("/a.jpg", ONE), images=30)
    [job] = claim(limit=3)
    assert len(job.image_ids) == 30
    assert record(outcomes_of([job])).written == 30
    of.refresh_from_db()
    assert (of.completed_images, counts(of)) == (30, (30, 0, 0))
    assert len(set(of.images.values_list(*FACTS))) == 1
    assert (origin.hits["/a.jpg"], of.bytes_in) == (1, 30 * len(ONE))


@pytest.mark.parametrize("keeps", [True, False])
def test_rows_of_one_link_have_objects_of_their_own_names(origin: Origin, *, keeps: bool) -> None:
    """Fetched and compressed once; the same links again the next night; nothing left behind."""
    before, url = objects(), origin.serve("/a.jpg", ONE, headers={"ETag": '"1"'})

    def named(names: dict[int, str], **fields: Any) -> tuple[ProcessingRequest, list[str]]:
        of = request_of(url, len(names), store_originals=keeps, **fields)
        for number, name in names.items():
            of.images.filter(product__row_number=number).update(name=name)
        process()
        keys = of.images.order_by("id").values_list("output_key", flat=True)
        return of, list(keys)

    first, keys = named({1: "A.MAIN", 2: "B.MAIN", 3: "C-\ufffc"})
    digest = first.images.values_list("output_sha256", flat=True)[0][:16]
    assert [key.rpartition("/")[2] for key in keys] == [
        "A.MAIN.jpg",
        "B.MAIN.jpg",
        f"C-{digest}.jpg",
    ]
    assert (counts(first), origin.hits["/a.jpg"]) == ((3, 0, 0), 1)
    assert len(objects() - before) == (6 if keeps else 3)
    assert set(keys) <= objects()
    second, again = named({1: "B.MAIN", 2: "A.MAIN", 3: "D"}, max_age=0)
    assert again[:2] == [keys[1], keys[0]]
    assert again[2] not in keys
    assert (counts(second), origin.hits["/a.jpg"]) == ((1, 0, 2), 2)
    third, fresh = named({1: "A.MAIN", 2: "D"}, max_age=60)
    assert (fresh, origin.hits["/a.jpg"]) == ([keys[0], again[2]], 2)
    for of in (first, second, third):
        erase(of)
    assert objects() == before


def test_siblings_that_one_claim_cannot_take_along_are_not_asked_for(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leasing, "MOST_SIBLINGS", 4)
    of = request_of(origin.serve("/a.jpg", ONE), images=12)
    record(outcomes_of(claim(limit=1)))
    record(outcomes_of(claim()))
    assert (counts(of), origin.hits["/a.jpg"]) == ((12, 0, 0), 1)


@pytest.mark.parametrize(("status", "code"), [(404, "not_found"), (500, "host_error")])
def test_a_url_that_fails_fails_for_all(origin: Origin, status: int, code: str) -> None:
    of = request_of(origin.serve("/a.jpg", status=status), images=5)
    while of.images.filter(status=build.PENDING).update(next_attempt_at=Now()):
        process()
    rows = set(of.images.values_list("status", "error_code", "attempts"))
    assert rows == {(build.FAILED, code, 1 if status == 404 else settings.MAX_ATTEMPTS)}
    of.refresh_from_db()
    assert (of.failed_images, origin.hits["/a.jpg"]) == (5, 1 if status == 404 else 5)


def test_siblings_are_given_back_together(origin: Origin) -> None:
    of = request_of(origin.serve("/a.jpg", ONE), images=4)
    [job] = claim()
    ProductImage.objects.hand_back(job.image_ids, [job.lease_id])
    assert set(of.images.values_list("status", "attempts")) == {(build.PENDING, 0)}


# --- Removal --------------------------------------------------------------------------------------
def objects() -> set[str]:
    return {key for key, _ in store.list_keys("") if key.endswith((".jpg", ".jpeg"))}


@pytest.fixture(autouse=True)
def _own_objects() -> Iterator[None]:
    before = objects()
    yield
    store.delete_many(objects() - before)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_an_object_lives_as_long_as_a_request_names_it(
    origin: Origin, order: tuple[int, ...]
) -> None:
    before = objects()
    url = origin.serve("/a.jpg", ONE)
    three = [run(url) for _ in range(3)]
    key = key_of(three[0])
    for number in order:
        assert _is_stored(key)
        erase(three[number])
    assert (objects(), Picture.objects.count()) == (before, 0)
    assert not StoredObject.objects.exists()


def test_what_was_doomed_after_a_claim_is_made_anew(origin: Origin) -> None:
    """The race of a removal with a request that found the picture unchanged."""
    url = origin.serve("/a.jpg", ONE)
    first, second = run(url), request_of(url)
    outcomes = outcomes_of(claim())
    erase(first)
    assert record(outcomes).written == 1
    assert set(second.images.values_list("status", "attempts")) == {(build.PENDING, 0)}
    process()
    assert counts(second) == (1, 0, 0)
    assert _is_stored(key_of(second))


def test_what_is_named_before_it_is_judged_stays(origin: Origin) -> None:
    url = origin.serve("/a.jpg", ONE)
    first = run(url)
    Picture.objects.release(Picture.objects.values_list("id", flat=True))
    operations.remove(first.id)
    second = run(url)
    removal.erase(first.id)
    assert _is_stored(key_of(second))
    assert not Picture.objects.to_collect().exists()


@pytest.mark.parametrize("step", ["delete_many", "doom_unnamed"])
def test_a_removal_that_dies_is_finished_by_the_sweep(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    before = objects()
    of = run(origin.serve("/a.jpg", ONE))
    with monkeypatch.context() as patched:
        place: Any = store if step == "delete_many" else type(Picture.objects.all())
        patched.setattr(place, step, die)
        with pytest.raises(Killed):
            erase(of)
    assert Picture.objects.to_collect().exists()
    sources.collect_leftovers()
    assert (objects(), Picture.objects.count()) == (before, 0)


def test_what_a_killed_worker_stored_goes_with_its_request(origin: Origin) -> None:
    """Its outcome was not recorded: no row names the object."""
    before = objects()
    of = request_of(origin.serve("/a.jpg", ONE))
    [job] = claim()
    outcomes_of([job])
    assert len(objects() - before) == 1
    erase(of)
    assert objects() == before


def test_what_a_killed_worker_stored_goes_once_another_picture_is_used(origin: Origin) -> None:
    """Meanwhile another request has made the picture, which the next attempt uses again."""
    before = objects()
    url = origin.serve("/a.jpg", ONE)
    first = request_of(url)
    [job] = claim()
    outcomes_of([job])
    second = run(url)
    first.images.update(lease_until=Now() - timedelta(seconds=1))
    sweep.return_expired()
    first.images.update(next_attempt_at=Now())
    process()
    assert key_of(first) == key_of(second)
    assert len(objects() - before) == 2
    sources.collect_leftovers()
    assert objects() - before == {key_of(second)}
    assert Picture.objects.get().doomed_at is None
