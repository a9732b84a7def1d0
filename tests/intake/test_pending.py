"""What an upload that never became a request leaves behind is deleted, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, OperationalError
from django.db.models import F
from django.db.models.functions import Now
from django_q.models import OrmQ

from imageproc import intake
from imageproc.faults import STORAGE_FAILED
from imageproc.images import store, sweep
from imageproc.intake import pending, upload
from imageproc.models import PendingUpload, ProcessingRequest
from imageproc.models.upload import ABANDONED_AFTER
from tests.support import build

pytestmark = pytest.mark.django_db
FILE = b"S. No.,Product Name,Input Image Urls\n1,Shoe,http://shop.example/1.jpg\n"


class Died(BaseException):
    """Stands in for SIGKILL: nothing of the service catches it."""


def stored() -> list[str]:
    return [key for key, _ in store.list_keys("") if key.endswith("input.csv")]


@pytest.fixture(autouse=True)
def _empty_storage() -> None:
    store.delete_many(key for key, _ in list(store.list_keys("")))


def raising(error: BaseException) -> Callable[..., Any]:
    def step(*_: object, **__: object) -> None:
        raise error

    return step


def upload_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload whose database goes away, or whose process dies, once its file is stored."""
    with monkeypatch.context() as patch:
        patch.setattr(ProcessingRequest.objects, "create", raising(error))
        with pytest.raises(type(error)):
            build.accepted(FILE)


def an_hour_later() -> None:
    PendingUpload.objects.update(created_at=F("created_at") - ABANDONED_AFTER)


def discards() -> list[UUID]:
    tasks = [task.task for task in OrmQ.objects.all()]
    found = [task["args"] for task in tasks if task["func"] == "imageproc.tasks.discard_upload"]
    return [UUID(args[0]) for args in found]


def test_an_accepted_upload_leaves_no_note() -> None:
    request = build.accepted(FILE)
    assert not PendingUpload.objects.exists()
    assert stored() == [request.input_csv]


@pytest.mark.parametrize("error", [OperationalError("server closed the connection"), Died()])
def test_what_is_left_is_swept_after_an_hour(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = build.accepted(FILE)
    upload_with(error, monkeypatch)
    assert len(stored()) == 2
    sweep.sweep()
    assert discards() == []
    an_hour_later()
    sweep.sweep()
    [left] = discards()
    assert left != kept.id
    assert pending.discard(left)
    assert stored() == [kept.input_csv]
    assert not PendingUpload.objects.exists()
    assert not pending.discard(left)


def test_an_upload_under_way_keeps_its_file_or_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file took more than an hour to store, and the sweep came first: no request without its
    input comes of it."""

    def discard_meanwhile(*_: object) -> None:
        an_hour_later()
        [waiting] = PendingUpload.objects.to_discard()
        assert pending.discard(waiting.id)

    with monkeypatch.context() as patch:
        patch.setattr(upload, "_hold_owner", discard_meanwhile)
        with pytest.raises(intake.Refused) as refused:
            build.accepted(FILE)
    assert (refused.value.status, refused.value.code) == (503, "upload_too_slow")
    assert not ProcessingRequest.objects.exists()
    assert stored() == []


@pytest.mark.parametrize(
    "error", [intake.Refused(429, "quota_exceeded", "Wait."), IntegrityError()]
)
def test_a_refused_upload_takes_its_file_away_at_once(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(upload, "_hold_owner", raising(error))
        with pytest.raises(type(error)):
            build.accepted(FILE)
    assert stored() == []
    assert not PendingUpload.objects.exists()


def test_a_storage_that_is_away_is_asked_again_a_minute_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    upload_with(Died(), monkeypatch)
    an_hour_later()
    [left] = PendingUpload.objects.to_discard()
    with monkeypatch.context() as patch:
        patch.setattr(store, "delete_many", raising(store.StoreError(STORAGE_FAILED)))
        assert not pending.discard(left.id)
    assert not PendingUpload.objects.to_discard().exists()
    PendingUpload.objects.update(abandoned_at=Now() - ABANDONED_AFTER / 50)
    assert PendingUpload.objects.to_discard().exists()
    assert pending.discard(left.id)
    assert stored() == []
