"""What is not the image's fault costs it nothing, and what is costs no other image anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from imageproc.faults import HOST_BUSY, HTML_NOT_IMAGE, STORAGE_FAILED, Fault
from imageproc.images.claim import claim
from imageproc.images.database import DatabaseRetry
from imageproc.images.outcome import Failed
from imageproc.images.record import record
from imageproc.images.sweep import _Watch
from imageproc.models import ProductImage
from tests.support import build

pytestmark = pytest.mark.django_db


def test_an_outcome_that_the_database_refuses_takes_no_other_along() -> None:
    of = build.request(images=2)
    first, second = claim()
    assert record([replace(build.done(first), output_size=0), build.done(second)]).written == 2
    assert build.statuses(of) == [build.PENDING, build.COMPLETED]
    assert of.images.order_by("id")[0].error_code == "internal"


def test_a_nul_in_what_a_host_sends_is_no_obstacle() -> None:
    of = build.request(images=1)
    [job] = claim()
    assert record([Failed(job, HTML_NOT_IMAGE.because("text/\0html"))]).written == 1
    row = of.images.get()
    assert (row.error_code, row.attempt_log[0]["detail"]) == ("html_not_image", "text/html")


@pytest.mark.parametrize(
    ("fault", "before", "status"),
    [
        (HOST_BUSY, {"fetch_failures": 3, "store_failures": 14}, build.PENDING),
        (HOST_BUSY, {"fetch_failures": 4}, build.FAILED),
        (STORAGE_FAILED, {"fetch_failures": 4, "store_failures": 13}, build.PENDING),
        (STORAGE_FAILED, {"store_failures": 14}, build.FAILED),
        # Lost workers are neither the host's nor the storage's.
        (HOST_BUSY, {"attempts": 11}, build.PENDING),
    ],
)
def test_what_storage_host_and_workers_did_is_counted_apart(
    fault: Fault, before: dict[str, int], status: str
) -> None:
    of = build.request(images=1)
    [job] = claim()
    ProductImage.objects.update(**{"attempts": sum(before.values()) + 1} | before)
    record([Failed(job, fault)])
    assert build.statuses(of) == [status]


def test_a_host_s_first_failure_waits_for_a_first_time_whatever_the_storage_did() -> None:
    """Two seconds, and not the ten minutes of a tenth attempt."""
    of = build.request(images=1)
    [job] = claim()
    ProductImage.objects.update(attempts=11, store_failures=10)
    record([Failed(job, HOST_BUSY)])
    assert of.images.get().next_attempt_at - timezone.now() < timedelta(seconds=3)


class Flaky:
    """Raises its errors one a call, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imageproc.images.database.PAUSE_SECONDS", 0)
    monkeypatch.setattr("imageproc.images.database.connection", Nothing())


class Nothing:
    def close(self) -> None: ...


def test_a_step_is_repeated_while_the_database_is_away(no_pause: Any) -> None:
    step = Flaky(OperationalError("gone"), OperationalError("gone"))
    DatabaseRetry(60)(step)
    assert step.calls == 3


@pytest.mark.parametrize(
    ("seconds", "error"), [(60, IntegrityError("wrong")), (-1, OperationalError("gone"))]
)
def test_the_retries_end(no_pause: Any, seconds: int, error: Exception) -> None:
    step = Flaky(error)
    with pytest.raises(type(error)):
        DatabaseRetry(seconds)(step)
    assert step.calls == 1


def test_leases_are_not_judged_just_after_the_database_was_away() -> None:
    watch = _Watch()
    assert watch.may_judge_leases()
    watch.succeeded()
    assert watch.may_judge_leases()
    # That sweep has failed before its end.
    assert not watch.may_judge_leases()
    watch.succeeded()
    assert not watch.may_judge_leases()
