"""What a dead worker leaves behind goes back to work, and not for ever."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from imageproc.images.claim import claim, claim_suspect
from imageproc.images.sweep import return_expired, sweep
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


def test_an_expired_lease_returns_the_image_as_a_suspect() -> None:
    of = build.request(images=2)
    claim()
    kill_the_worker()
    assert return_expired() == 2
    rows = list(of.images.all())
    assert [(r.status, r.lost_count, r.attempts, r.lease_id) for r in rows] == [
        (build.PENDING, 1, 1, None)
    ] * 2


def test_the_third_death_fails_the_image() -> None:
    of = build.request(images=1)
    claim()
    for _ in range(2):
        kill_the_worker()
        return_expired()
        assert len(claim_suspect()) == 1
    kill_the_worker()
    return_expired()
    row = of.images.get()
    assert (row.status, row.error_code, row.lost_count) == (build.FAILED, "worker_died", 3)
    of.refresh_from_db()
    assert of.failed_images == 1
    assert FailureTally.objects.get().error_code == "worker_died"
    assert queued() == ["imageproc.tasks.complete"]


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
