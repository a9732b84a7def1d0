"""What a dead worker leaves behind goes back to work, and not for ever."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from imageproc.faults import HOST_BUSY
from imageproc.images.claim import claim, claim_suspect
from imageproc.images.outcome import Failed
from imageproc.images.record import record
from imageproc.images.sweep import UNEXPLAINED, return_expired, sweep
from imageproc.models import FailureTally, ProcessingRequest, ProductImage
from tests.support import build

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def kill_the_worker() -> None:
    """Its leases run out."""
    past = timezone.now() - timedelta(seconds=1)
    ProductImage.objects.filter(status=build.PROCESSING).update(lease_until=past)


def queued() -> list[str]:
    return [task.task["func"] for task in OrmQ.objects.order_by("id")]


def test_a_living_lease_is_left_alone() -> None:
    build.request(images=2)
    claim()
    assert return_expired() == 0


def test_an_expired_lease_returns_the_image_and_blames_nobody() -> None:
    of = build.request(images=2)
    claim()
    kill_the_worker()
    assert return_expired() == 2
    rows = list(of.images.all())
    assert [(r.status, r.lost_count, r.attempts, r.lease_id) for r in rows] == [
        (build.PENDING, 0, 1, None)
    ] * 2


def test_only_the_image_in_the_codec_is_suspect() -> None:
    of = build.request(images=3)
    jobs = claim()
    assert ProductImage.objects.note_in_codec(jobs[1].image_id, jobs[1].lease_id, True)
    kill_the_worker()
    assert return_expired() == 3
    rows = of.images.order_by("id").values_list("status", "attempts", "lost_count")
    assert list(rows) == [(build.PENDING, 1, 0), (build.PENDING, 1, 1), (build.PENDING, 1, 0)]


def test_an_image_is_watched_once_its_worker_has_died() -> None:
    build.request(images=1)
    [first] = claim()
    kill_the_worker()
    return_expired()
    [second] = claim()
    assert (first.watched, second.watched) == (False, True)


def test_a_failure_of_its_host_is_no_reason_to_watch_an_image() -> None:
    build.request(images=1)
    record([Failed(claim()[0], HOST_BUSY)])
    ProductImage.objects.update(next_attempt_at=timezone.now())
    [job] = claim()
    assert (job.attempt, job.watched) == (2, False)


def test_what_was_noted_in_an_earlier_attempt_blames_nobody() -> None:
    of = build.request(images=1)
    [job] = claim()
    ProductImage.objects.note_in_codec(job.image_id, job.lease_id, True)
    ProductImage.objects.hand_back([job.image_id], [job.lease_id])
    claim()
    assert not ProductImage.objects.note_in_codec(job.image_id, job.lease_id, True)
    kill_the_worker()
    return_expired()
    assert of.images.get().lost_count == 0


def test_the_third_death_over_an_image_fails_it() -> None:
    of = build.request(images=1)
    [job] = claim()
    for claim_again in (claim_suspect, claim_suspect, list):
        ProductImage.objects.note_in_codec(job.image_id, job.lease_id, True)
        kill_the_worker()
        return_expired()
        for again in claim_again():
            job = again
    row = of.images.get()
    assert (row.status, row.error_code, row.lost_count) == (build.FAILED, "worker_died", 3)
    of.refresh_from_db()
    assert of.failed_images == 1
    assert FailureTally.objects.get().error_code == "worker_died"
    assert queued() == ["imageproc.tasks.complete"]


def test_a_suspect_is_not_blamed_for_a_death_in_another_step() -> None:
    """Once in the codec by chance; then alone, fetching, when its worker is killed again."""
    of = build.request(images=1)
    [job] = claim()
    ProductImage.objects.note_in_codec(job.image_id, job.lease_id, True)
    kill_the_worker()
    return_expired()
    for _ in range(3):
        claim_suspect()
        kill_the_worker()
        return_expired()
    row = of.images.get()
    assert (row.status, row.attempts, row.lost_count) == (build.PENDING, 4, 1)


def test_an_image_in_hand_at_every_death_is_suspect_in_the_end() -> None:
    of = build.request(images=1)
    for _ in range(UNEXPLAINED):
        assert of.images.get().lost_count == 0
        claim()
        kill_the_worker()
        return_expired()
    row = of.images.get()
    assert (row.attempts, row.lost_count) == (12, 1)


def test_missing_tasks_are_put_back() -> None:
    build.request(images=1, ingested_at=timezone.now())
    ProcessingRequest.objects.create(
        owner=build.owner(),
        file_name="new.csv",
        input_csv="key",
        base_url="",
        total_products=1,
        total_images=1,
    )
    sweep()
    assert queued()[0] == "imageproc.tasks.ingest"
    assert set(queued()[1:]) == {"imageproc.tasks.pump"}


def test_a_held_request_is_not_enqueued_again() -> None:
    of = build.request(images=1, completed_images=1, ingested_at=timezone.now())
    of.images.all().delete()
    assert sweep()["control"] == 1
    OrmQ.objects.all().delete()
    assert ProcessingRequest.objects.hold(of.id, 60) is not None
    assert sweep()["control"] == 0


def test_nothing_to_do_enqueues_nothing() -> None:
    assert sweep() == {"returned": 0, "control": 0}
    assert queued() == []
