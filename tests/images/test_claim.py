"""Who is served next, and that nothing is handed out twice."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from imageproc.images.claim import Skip, claim, claim_suspect, has_due, newest_request
from imageproc.models import ProcessingRequest, ProductImage, RequestStatus, Switch
from tests.support import build

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def test_a_claim_leases_and_counts_the_attempt_before_any_work() -> None:
    of = build.request(images=2)
    jobs = claim()
    rows = list(of.images.order_by("id"))
    assert [job.image_id for job in jobs] == [row.id for row in rows]
    assert [(r.status, r.attempts, r.lease_id) for r in rows] == [
        (build.PROCESSING, 1, jobs[0].lease_id)
    ] * 2
    assert jobs[0].stem == f"{of.id}/p001-red-shoe-1-{rows[0].id.hex[-8:]}"


def test_what_is_claimed_is_not_claimed_again() -> None:
    build.request(images=3)
    assert [len(claim(2)), len(claim(2)), len(claim(2))] == [2, 1, 0]


def test_a_small_request_is_in_the_next_claim_behind_a_huge_one() -> None:
    build.request(images=200)
    claim(50)
    small = build.request(images=5)
    assert Counter(job.request_id for job in claim(50))[small.id] == 5


@pytest.mark.parametrize(("limit", "shares"), [(70, (40, 20, 10)), (7, (4, 2, 1))])
def test_requests_share_a_claim_by_priority(limit: int, shares: tuple[int, ...]) -> None:
    requests = [build.request(images=60, priority=p) for p in ("high", "normal", "low")]
    counts = Counter(job.request_id for job in claim(limit))
    assert tuple(counts[request.id] for request in requests) == shares


def test_what_one_request_leaves_goes_to_the_others() -> None:
    build.request(images=3)
    large = build.request(images=80)
    assert Counter(job.request_id for job in claim(50))[large.id] == 47


def test_of_the_last_images_each_worker_takes_a_part() -> None:
    build.request(images=10)
    build.request(images=50)
    sizes = [len(claim(10, workers=2)) for _ in range(12)]
    assert sizes == [10, 10, 10, 10, 7, 5, 3, 2, 1, 1, 1, 0]


def test_who_is_alone_takes_all() -> None:
    build.request(images=13)
    assert [len(claim(10)) for _ in range(3)] == [10, 3, 0]


def test_backoff_keeps_an_image_out_until_its_time() -> None:
    of = build.request(images=1)
    of.images.update(next_attempt_at=timezone.now() + timedelta(seconds=60))
    assert (claim(), has_due()) == ([], False)


def test_busy_hosts_are_passed_over() -> None:
    of = build.request(images=0, total_images=2)
    build.image(of, 1, host="slow.example")
    build.image(of, 2, host="fast.example")
    assert [job.host for job in claim(skip=Skip(hosts={"slow.example"}))] == ["fast.example"]


def test_a_request_whose_outcomes_cannot_be_written_is_passed_over() -> None:
    locked, free = build.request(images=1), build.request(images=2)
    assert {job.request_id for job in claim(skip=Skip(requests={locked.id}))} == {free.id}


@pytest.mark.parametrize("status", [RequestStatus.CANCELLED, RequestStatus.PENDING])
def test_only_running_requests_are_served(status: RequestStatus) -> None:
    ended = timezone.now() if status == RequestStatus.CANCELLED else None
    build.request(images=1, status=status, completed_at=ended)
    assert (claim(), claim_suspect(), has_due()) == ([], [], False)


def test_a_suspect_is_left_out_of_claims_and_taken_alone() -> None:
    of = build.request(images=3)
    first = of.images.order_by("id").first()
    assert first is not None
    ProductImage.objects.filter(id=first.id).update(lost_count=1)
    assert [job.image_id == first.id for job in claim()] == [False, False]
    assert [job.image_id for job in claim_suspect()] == [first.id]


def test_paused_workers_claim_nothing() -> None:
    build.request(images=1)
    Switch.objects.set_paused(Switch.WORKERS, True)
    assert claim() == []
    Switch.objects.set_paused(Switch.WORKERS, False)
    assert len(claim()) == 1


def test_another_request_is_noticed_when_it_comes_and_when_its_first_rows_do() -> None:
    assert newest_request() is None
    first = build.request(2, ingested_products=0)
    assert newest_request() == (first.id, False)
    ProcessingRequest.objects.update(ingested_products=1)
    assert newest_request() == (first.id, True)
    ProcessingRequest.objects.update(ingested_products=2)
    assert newest_request() == (first.id, True)
    build.request(1, status="PENDING")
    assert newest_request() == (first.id, True)
    second = build.request(1)
    assert newest_request() == (second.id, True)
