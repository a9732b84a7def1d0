"""Who is served in which order, what a claimed image brings along, how each attempt may end."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from pytest_django import Settings

from imageproc.faults import (
    CATALOGUE,
    CONNECT_FAILED,
    FETCH_TIMEOUT,
    NOT_FOUND,
    STORAGE_FAILED,
)
from imageproc.images.claim import claim, claim_suspect, has_due, has_suspects
from imageproc.images.outcome import Failed
from imageproc.images.record import record
from imageproc.models import FailureTally, MinuteTally, Picture, ProcessingRequest, ProductImage
from tests.support import build
from tests.support.changes import after, at, changes

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


# --- Turns ----------------------------------------------------------------------------------------
def test_more_requests_than_share_a_claim_are_all_served_in_two() -> None:
    requests = [build.request(20) for _ in range(13)]
    first, second, third = ({job.request_id for job in claim(50)} for _ in range(3))
    assert len(first) == 10
    assert first | second == {of.id for of in requests}
    assert second >= {of.id for of in requests} - first
    assert len(third) == 10


def test_who_was_served_longest_ago_is_first() -> None:
    a, b, c, new = (build.request(1) for _ in range(4))
    order = []
    for _ in range(4):
        for of, ago in ((a, -10), (b, -30), (c, -20)):
            ProcessingRequest.objects.filter(id=of.id).update(**at({"last_served_at": after(ago)}))
        order += [job.request_id for job in claim(1)]
    assert order == [new.id, b.id, c.id, a.id]


def test_only_who_had_something_to_claim_is_at_the_end_of_the_line() -> None:
    empty = build.request(0, total_products=1, total_images=1)
    late = build.request(1)
    late.images.update(**at({"next_attempt_at": after(30)}))
    served = build.request(1)
    claim()
    rows = dict(ProcessingRequest.objects.values_list("id", "last_served_at"))
    assert [rows[of.id] is None for of in (empty, late, served)] == [True, True, False]


def test_in_a_request_what_is_due_longest_comes_first() -> None:
    of = build.request(4)
    ids = list(of.images.order_by("id").values_list("id", flat=True))
    for image_id, ago in zip(ids, (-10, -40, -20, -30), strict=True):
        of.images.filter(id=image_id).update(**at({"next_attempt_at": after(ago)}))
    found = [job.image_id for _ in range(4) for job in claim(1)]
    assert found == [ids[1], ids[3], ids[2], ids[0]]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 7, 49, 50])
def test_never_more_than_was_asked_for(limit: int) -> None:
    for priority in ("high", "normal", "low"):
        build.request(30, priority=priority)
    jobs = claim(limit)
    assert len(jobs) == limit
    assert len({job.image_id for job in jobs}) == limit
    assert len({job.lease_id for job in jobs}) == 1
    assert ProductImage.objects.filter(status="PROCESSING").count() == limit


def test_priorities_weigh_four_two_one() -> None:
    high, low = build.request(60, priority="high"), build.request(60, priority="low")
    assert Counter(job.request_id for job in claim(50)) == {high.id: 40, low.id: 10}


@pytest.mark.parametrize(
    ("changed", "due", "suspects"),
    [
        ({}, True, False),
        ({"lost_count": 1}, True, True),
        ({"next_attempt_at": after(20)}, False, False),
        ({"lost_count": 1, "next_attempt_at": after(20)}, False, False),
        ({"status": "CANCELLED"}, False, False),
    ],
)
def test_whether_there_is_anything(changed: dict[str, Any], due: bool, suspects: bool) -> None:
    build.request(1).images.update(**at(changed))
    assert (has_due(), has_suspects()) == (due, suspects)
    jobs, alone = claim(), claim_suspect()
    assert (len(jobs), len(alone)) == (int(due and not suspects), int(suspects))


def test_suspects_come_one_at_a_time() -> None:
    build.request(3).images.update(lost_count=1)
    assert [len(claim_suspect()) for _ in range(4)] == [1, 1, 1, 0]


def test_a_job_is_what_its_rows_say() -> None:
    recipe = {"preset": "half", "quality": 7}
    of = build.request(0, recipe=recipe, store_originals=True, total_products=2, total_images=2)
    build.request(0, recipe={"preset": "x"}, total_products=1, total_images=1)
    one = build.image(of, 7, "h.example", position=3, attempts=4, input_url="http://h.example/ü")
    [job] = claim()
    facts = (job.image_id, job.request_id, job.url, job.host, job.attempt)
    assert facts == (one.id, of.id, "http://h.example/ü", "h.example", 5)
    assert (job.recipe, job.store_original) == (recipe, True)
    assert job.stem == f"{of.id}/p007-red-shoe-3-{one.id.hex[-8:]}"


@pytest.mark.parametrize(
    ("attempts", "store", "fetch", "watched"),
    [(0, 0, 0, False), (1, 0, 0, True), (1, 1, 0, False), (1, 0, 1, False), (3, 1, 1, True)],
)
def test_what_is_watched(attempts: int, store: int, fetch: int, watched: bool) -> None:
    build.request(1).images.update(attempts=attempts, store_failures=store, fetch_failures=fetch)
    assert [job.watched for job in claim()] == [watched]


# --- Ends -----------------------------------------------------------------------------------------
def test_every_fact_of_a_result_is_on_its_row() -> None:
    of = build.request(2)
    job, _other = claim()
    values: dict[str, Any] = {
        "output_key": "k/o",
        "output_size": 11,
        "output_sha256": "aa",
        "content_type": "image/webp",
        "width": 12,
        "height": 13,
        "input_size": 14,
        "source_sha256": "bb",
        "kept_original": True,
        "original_key": "k/i",
        "fetch_ms": 15,
        "compress_ms": 16,
        "store_ms": 17,
    }
    done = replace(build.done(job), **values)
    recorded, changed = changes(ProductImage, lambda: record([done]))
    assert recorded.written == 1
    assert changed == {
        job.image_id: {
            "status": "COMPLETED",
            "lease_id": None,
            "lease_until": None,
            "finished_at": 0,
            "picture_id": Picture.objects.get().id,
            "change": "new",
            **values,
        }
    }
    of.refresh_from_db()
    counts = (of.completed_images, of.failed_images, of.bytes_in, of.bytes_out)
    assert counts == (1, 0, 14, 11)
    minute = MinuteTally.objects.get()
    assert (minute.code, minute.images, minute.bytes_in, minute.bytes_out) == ("", 1, 14, 11)


@pytest.mark.parametrize("code", sorted(code for code, f in CATALOGUE.items() if f.permanent))
def test_a_permanent_fault_ends_at_the_first_attempt(code: str) -> None:
    of = build.request(1)
    record([Failed(claim()[0], CATALOGUE[code].because("seen"), 9)])
    row = of.images.get()
    assert (row.status, row.error_code, row.error_message) == (
        *("FAILED", code, CATALOGUE[code].sentence),
    )
    tally = FailureTally.objects.get()
    assert (tally.error_code, tally.host, tally.images) == (code, "shop.example", 1)
    assert MinuteTally.objects.get().code == code


@pytest.mark.parametrize(
    ("fault", "before", "ends"),
    [
        (CONNECT_FAILED, {"fetch_failures": 3}, "PENDING"),
        (CONNECT_FAILED, {"fetch_failures": 4}, "FAILED"),
        (FETCH_TIMEOUT, {"store_failures": 90, "attempts": 90}, "PENDING"),
        (STORAGE_FAILED, {"fetch_failures": 90, "attempts": 90}, "PENDING"),
        (STORAGE_FAILED, {"store_failures": 6}, "PENDING"),
        (STORAGE_FAILED, {"store_failures": 7}, "FAILED"),
        (NOT_FOUND, {}, "FAILED"),
    ],
)
def test_each_kind_of_failure_has_a_limit_of_its_own(
    fault: Any, before: dict[str, int], ends: str, settings: Settings
) -> None:
    settings.MAX_ATTEMPTS, settings.MAX_STORE_ATTEMPTS = 5, 8
    of = build.request(1)
    of.images.update(**before)
    [job] = claim()
    record([Failed(job, fault.because("seen\0"), 9)])
    row = of.images.get()
    kept = {"store_failures": 0, "fetch_failures": 0} | before
    kept["store_failures" if fault is STORAGE_FAILED else "fetch_failures"] += 1
    assert (row.status, row.store_failures, row.fetch_failures) == (
        *(ends, kept["store_failures"], kept["fetch_failures"]),
    )
    assert (row.lease_id, row.lease_until, row.error_code) == (None, None, fault.code)
    assert (row.finished_at is None) is (ends == "PENDING")
    assert [(e["code"], e["detail"]) for e in row.attempt_log] == [(fault.code, "seen")]
    of.refresh_from_db()
    assert of.failed_images == FailureTally.objects.count() == int(ends == "FAILED")


def test_the_log_of_attempts_grows(settings: Settings) -> None:
    of = build.request(1)
    for number in range(3):
        of.images.update(**at({"next_attempt_at": after(-1)}))
        record([Failed(claim()[0], CONNECT_FAILED.because(str(number)), number)])
    found = [(e["detail"], e["ms"]) for e in of.images.get().attempt_log]
    assert found == [("0", 0), ("1", 1), ("2", 2)]


def test_outcomes_are_fenced_one_by_one() -> None:
    of = build.request(3)
    jobs = claim()
    late = replace(jobs[1], lease_id=uuid4())
    assert record([build.done(jobs[0]), build.done(late), Failed(jobs[2], NOT_FOUND)]).written == 2
    assert build.statuses(of) == ["COMPLETED", "PROCESSING", "FAILED"]
    of.refresh_from_db()
    assert (of.completed_images, of.failed_images) == (1, 1)


IGNORE = {
    "sqlite": ["CREATE TRIGGER lazy BEFORE UPDATE ON imageproc_productimage WHEN {} "
               "BEGIN SELECT RAISE(IGNORE); END"],
    "postgresql": [
        "CREATE FUNCTION pg_temp.lazy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; "
        "END $$",
        "CREATE TRIGGER lazy BEFORE UPDATE ON imageproc_productimage FOR EACH ROW WHEN ({}) "
        "EXECUTE FUNCTION pg_temp.lazy()",
    ],
}  # fmt: skip


def test_a_database_that_takes_fewer_rows_than_it_was_given_counts_none() -> None:
    """Nothing is half recorded: the counters never say more than the rows."""
    of = build.request(3)
    jobs = claim()
    with connection.cursor() as cursor:
        for statement in IGNORE[connection.vendor]:
            cursor.execute(statement.format("OLD.position = 1 AND NEW.status = 'COMPLETED'"))
    with suppress(AssertionError):
        record([build.done(jobs[0]), Failed(jobs[1], NOT_FOUND), build.done(jobs[2])])
    of.refresh_from_db()
    rows = Counter(build.statuses(of))
    assert (of.completed_images, of.failed_images) == (rows["COMPLETED"], rows["FAILED"])
    assert of.completed_images == 0
    counted = MinuteTally.objects.filter(code="")
    assert sum(minute.images for minute in counted) == 0
