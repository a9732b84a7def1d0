"""What outcomes say about their hosts, and what becomes of the images."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ

from imageproc.faults import (
    ACCESS_DENIED,
    CONNECT_FAILED,
    DNS_FAILED,
    HOST_BUSY,
    HOST_DOWN,
    NOT_FOUND,
    Fault,
)
from imageproc.images import hosts
from imageproc.images.claim import claim, claim_slots, claim_suspect, has_suspects
from imageproc.images.crew import Crew
from imageproc.images.job import Job
from imageproc.images.outcome import Deferred, Failed
from imageproc.images.record import record
from imageproc.images.supply import Supply
from imageproc.images.watch import FIRST_CONNECTIONS, Watch, watch
from imageproc.models import FailureTally, Host, MinuteTally, ProcessingRequest, ProductImage
from imageproc.requests import operations, report
from tests.support import build

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
NAME = "shop.example"


def jobs(count: int) -> list[Job]:
    of = build.request(images=count)
    assert of.images.count() == count
    return claim()


def judged(watch: Watch, *outcomes: Failed) -> list[bool]:
    """Whether each is the host's."""
    return [isinstance(watch.judge(outcome), Deferred) for outcome in outcomes]


def test_asked_to_slow_down_is_the_hosts_from_the_first_time() -> None:
    [job] = jobs(1)
    assert judged(Watch(), Failed(job, HOST_BUSY)) == [True]


def test_an_image_refused_again_while_others_are_given_is_to_blame_itself() -> None:
    """One bad image must not slow its host for all the others."""
    watch, [job] = Watch(), jobs(1)
    again = Failed(replace(job, refusals=1), HOST_BUSY)
    assert judged(watch, again) == [True]  # the host gives nobody anything
    watch.judge(build.done(job))
    assert watch.judge(again) == again
    assert judged(watch, Failed(job, HOST_BUSY)) == [True]


def test_failures_are_the_hosts_from_the_fifth_in_a_row() -> None:
    watch, [job] = Watch(), jobs(1)
    failure, answer = Failed(job, CONNECT_FAILED), Failed(job, NOT_FOUND)
    assert judged(watch, *[failure] * 4, answer, *[failure] * 5) == [*[False] * 9, True]


def test_forbidden_is_the_hosts_in_a_burst_after_many_pictures() -> None:
    watch, [job] = Watch(), jobs(1)
    denied = Failed(job, ACCESS_DENIED)
    assert watch.judge(denied) == denied  # from a stranger, it is the image's
    for _ in range(20):
        watch.judge(build.done(job))
    first, second, third = (watch.judge(denied) for _ in range(3))
    assert isinstance(first, Failed)
    assert not first.fault.permanent  # the image is asked for again
    assert not isinstance(second, Deferred)
    assert isinstance(third, Deferred)
    assert third.fault.code == "host_busy"


def test_connections_begin_few_and_grow_with_the_answers() -> None:
    watch, [job] = Watch(), jobs(1)
    assert watch.connections_to(NAME) == FIRST_CONNECTIONS
    for _ in range(3):
        watch.judge(build.done(job))
    assert watch.connections_to(NAME) == FIRST_CONNECTIONS + 3
    watch.judge(Failed(job, HOST_BUSY))
    assert watch.connections_to(NAME) == FIRST_CONNECTIONS


def test_a_host_that_does_not_answer_gets_fewer_connections_each_time() -> None:
    """But always one, or it would never be met again."""
    watch, [job] = Watch(), jobs(1)
    found = []
    for _ in range(5):
        watch.judge(Failed(job, CONNECT_FAILED))
        found.append(watch.connections_to(NAME))
    assert found == [FIRST_CONNECTIONS - 1, FIRST_CONNECTIONS - 2, FIRST_CONNECTIONS - 3, 1, 1]
    watch.judge(build.done(job))
    assert watch.connections_to(NAME) == FIRST_CONNECTIONS + 1


def test_a_refused_image_goes_back_with_no_attempt_used_and_its_host_is_closed() -> None:
    [job] = jobs(1)
    refused = [Deferred(job, HOST_BUSY.because("HTTP 429", retry_after=9))]
    assert hosts.heed(refused) == set()
    assert record(refused).written == 1
    row = ProductImage.objects.get()
    assert (row.status, row.attempts, row.fetch_failures) == (build.PENDING, 0, 0)
    assert (row.attempt_log, row.error_code) == ([], "host_busy")
    host = Host.objects.get(name=NAME)
    assert (host.probing, host.reason) == (True, "busy")
    assert host.closed_at
    assert host.closed_until - host.closed_at == timedelta(seconds=9)
    assert claim_slots(NAME) == []


def test_an_image_that_its_host_refuses_again_and_again_fails_by_itself() -> None:
    """Refused once while others are given, or as the probe, it keeps its attempts; then it has as
    many as any other."""
    of = build.request(images=1)
    for failures in (0, 1, 2):
        [job] = claim()
        record([Deferred(job, HOST_BUSY, picked_out=True)])
        ProductImage.objects.update(next_attempt_at=Now())
        row = of.images.get()
        assert (row.attempts, row.fetch_failures) == (failures, failures)
    [job] = claim()
    record([Deferred(job, HOST_BUSY)])  # the host refuses all: that is not the image's
    assert of.images.get().fetch_failures == 2


@pytest.mark.parametrize("fault", [HOST_BUSY, CONNECT_FAILED, ACCESS_DENIED, DNS_FAILED])
def test_a_probe_that_fails_keeps_its_host_closed(fault: Fault) -> None:
    """Whatever it fails of, and although this process has never seen the host."""
    build.request(images=2)
    Host.objects.create(name=NAME, pace=4.0, probing=True)
    [probe] = claim_slots(NAME) or []
    outcome = Watch().judge(Failed(probe, fault))
    hosts.heed([outcome])
    row = Host.objects.with_clock().get()
    assert (row.probing, row.closings, row.is_closed(row.now)) == (True, 1, True)
    assert row.closed_until < row.now + timedelta(seconds=2)


def test_an_answer_that_was_on_its_way_does_not_open_a_closed_host() -> None:
    build.request(images=2)
    [late, refused] = claim()
    hosts.heed([Deferred(refused, HOST_BUSY)])
    hosts.heed([replace(build.done(late), asked_at=time.monotonic() + 1)])
    assert Host.objects.get().probing


def test_a_probe_that_is_handed_back_lets_another_go() -> None:
    build.request(images=2)
    Host.objects.create(name=NAME, pace=4.0, probing=True)
    probes = claim_slots(NAME) or []
    assert claim_slots(NAME) == []
    hosts.release_probes(probes)
    assert len(claim_slots(NAME) or []) == 1


def test_an_image_that_fails_again_says_nothing_new_of_its_host() -> None:
    """A host that gives others is not closed by one bad image; one that gave nothing is."""
    [bad, good] = jobs(2)
    failures = [Failed(bad, CONNECT_FAILED)] * 5
    assert judged(Watch(), *failures) == [False, False, False, False, True]
    watch = Watch()
    watch.judge(build.done(good))
    assert judged(watch, *failures) == [False] * 5


@pytest.mark.parametrize(
    ("row", "waits"),
    [
        ({}, (0.0, 0.1)),
        ({"pace": 0.5, "next_slot_at": Now() + timedelta(seconds=1)}, (0.8, 1.1)),
        ({"pace": 0.5, "closed_until": Now() + timedelta(seconds=9)}, None),
    ],
    ids=["no limit", "pace", "closed"],
)
def test_a_suspect_takes_the_next_slot_of_its_host(
    row: dict[str, Any], waits: tuple[float, float] | None
) -> None:
    of = build.request(images=1)
    of.images.update(lost_count=1)
    Host.objects.create(name=NAME, **row)
    jobs = claim_suspect()
    if waits is None:
        assert jobs == []
        assert not has_suspects({NAME})
    else:
        ahead = max(0.0, jobs[0].starts_at - time.monotonic())
        assert waits[0] <= ahead <= waits[1]


def test_slots_are_leased_one_each_and_not_twice() -> None:
    build.request(images=20)
    Host.objects.create(name=NAME, pace=4.0)
    first = claim_slots(NAME) or []
    starts = [job.starts_at for job in first]
    steps = {round(b - a, 2) for a, b in pairwise(starts)}
    assert (len(first), steps) == (3, {0.25})
    second = claim_slots(NAME) or []
    assert second[0].starts_at > starts[-1]
    assert claim_slots("unheard.example") == []


def test_a_probe_goes_alone() -> None:
    build.request(images=5)
    Host.objects.create(name=NAME, pace=50.0, probing=True)
    [job] = claim_slots(NAME) or []
    assert job.probe
    assert claim_slots(NAME) == []


def test_a_host_without_images_says_so() -> None:
    Host.objects.create(name=NAME, pace=50.0)
    assert claim_slots(NAME) is None


def test_hosts_without_a_limit_cost_no_query() -> None:
    done = [build.done(job) for job in jobs(3)]
    with CaptureQueriesContext(connection) as queries:
        assert hosts.heed(done) == set()
    assert len(queries) == 0


def test_a_host_that_lost_patience_fails_its_waiting_images() -> None:
    """In one go, with the counters, the completion and the reasons; "retry" starts afresh."""
    of = build.request(images=3)
    build.image(of, 4, host="other.example")
    type(of).objects.update(total_images=F("total_images") + 1)
    Host.objects.create(
        name=NAME,
        probing=True,
        closings=9,
        silent_since=Now() - timedelta(seconds=901),
        closed_at=Now() - timedelta(seconds=20),
    )
    [probe] = claim_slots(NAME) or []
    refused = [Deferred(probe, CONNECT_FAILED)]
    lost = hosts.heed(refused)
    record(refused)
    assert lost == {NAME}
    assert hosts.give_up(lost) == 3
    of.refresh_from_db()
    assert (of.failed_images, build.statuses(of).count(build.FAILED)) == (3, 3)
    assert FailureTally.objects.get().images == 3
    assert MinuteTally.objects.get(code=HOST_DOWN.code).images == 3
    assert OrmQ.objects.count() == 0  # the other host's image is still to come
    [other] = claim()
    record([build.done(other)])
    assert OrmQ.objects.count() == 1
    assert operations.retry(of.id, code="host_down") == 3
    assert len(claim_slots(NAME) or []) == 1
    assert Host.objects.get().silent_since is None


def test_the_last_waiting_image_settles_its_request() -> None:
    build.request(images=2)
    Host.objects.create(name=NAME, probing=True)
    assert hosts.give_up({NAME}) == 2
    assert [task.task["func"] for task in OrmQ.objects.all()] == ["imageproc.tasks.complete"]


def test_quiet_hosts_are_forgotten_unless_an_operator_set_them() -> None:
    old = Now() - timedelta(hours=2)
    for name, fields in (("a", {}), ("b", {"held": True}), ("c", {"fixed_pace": 3.0})):
        Host.objects.create(name=name, pace=1.0, signed_at=old, closed_until=old, **fields)
    Host.objects.create(name="d", pace=1.0)
    assert Host.objects.forget_quiet() == 1
    assert set(Host.objects.values_list("name", flat=True)) == {"b", "c", "d"}


def test_an_upload_keeps_its_hosts_to_a_pace() -> None:
    """The least counts while such an upload goes on; also for images that are tried again."""
    Host.objects.keep_to({NAME, "other.example"}, 5.0)
    Host.objects.keep_to({NAME}, 8.0)
    assert dict(Host.objects.values_list("name", "upload_pace")) == {
        NAME: 5.0,
        "other.example": 5.0,
    }
    old = Now() - timedelta(hours=2)
    Host.objects.update(signed_at=old, closed_until=old)
    of = build.request(images=2, host_pace=5.0)
    assert Host.objects.forget_quiet() == 0
    assert claim_slots(NAME)  # used: it stays for another hour
    ProcessingRequest.objects.update(status="CANCELLED", completed_at=Now())
    assert Host.objects.forget_quiet() == 1
    Host.objects.all().delete()
    FailureTally.objects.add(of.id, "not_found", NAME, 1)
    operations.retry(of.id)
    assert Host.objects.get().current_pace == 5.0


def test_hundreds_of_hosts_take_turns() -> None:
    for n in range(45):
        Host.objects.create(name=f"h{n:02}.example", pace=5.0)
    watch.refresh()
    supply = Supply(Crew(lambda _: []), lambda: True)
    turns = [supply._hosts_to_look_at() for _ in range(3)]
    assert [len(turn) for turn in turns] == [20, 20, 20]
    assert len({host for turn in turns for host in turn}) == 45


def test_the_status_names_the_hosts_that_images_wait_for() -> None:
    of = build.request(images=4, started_at=Now())
    build.image(of, 5, host="other.example")
    of.refresh_from_db()
    assert report.status_of(of).hosts == []
    until = timezone.now() + timedelta(seconds=30)
    Host.objects.create(name=NAME, pace=0.5, probing=True, closed_until=until)
    status = report.status_of(of)
    [wait] = status.hosts
    assert (wait.host, wait.images, wait.pace, wait.until) == (NAME, 4, 0.5, until)
    assert wait.reason == "It asked us to slow down"
    assert status.eta_seconds in (37, 38)


def test_operators_set_a_pace_and_close_and_open_a_host() -> None:
    build.request(images=3)
    Host.objects.create(name=NAME, pace=1.0)
    assert operations.set_pace(NAME, 8.0)
    assert Host.objects.get().current_pace == 8.0
    assert operations.close_host(NAME)
    assert not operations.close_host(NAME)
    assert claim_slots(NAME) == []
    assert operations.open_host(NAME)
    assert not operations.open_host(NAME)
    assert len(claim_slots(NAME) or []) == 1  # a probe
