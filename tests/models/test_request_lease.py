"""A request is one control task's at a time, and only its holder changes what it holds."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from imageproc.models import ProcessingRequest
from imageproc.models.request import RequestQuerySet
from tests.support import build
from tests.support.locks import locked

REQUESTS = ProcessingRequest.objects
CHANGES: dict[str, Callable[[RequestQuerySet, UUID, UUID], bool]] = {
    "extend": lambda requests, id_, lease: requests.extend(id_, lease, 60),
    "release": lambda requests, id_, lease: requests.release(id_, lease),
    "advance": lambda requests, id_, lease: requests.advance(id_, lease, 60),
    "postpone": lambda requests, id_, lease: requests.postpone(id_, lease, 60),
    "advance_ingest": lambda requests, id_, lease: requests.advance_ingest(
        id_, lease, old=0, new=1, seconds=60
    ),
    "finish_ingest": lambda requests, id_, lease: requests.finish_ingest(id_, lease),
}


def ingesting(change: str = "") -> ProcessingRequest:
    """A request in the middle of its ingest, or right before its last step."""
    written = 1 if change == "finish_ingest" else 0
    return build.request(images=1, ingested_products=written)


@pytest.mark.django_db
@pytest.mark.both_databases
@pytest.mark.parametrize("change", CHANGES)
def test_only_the_holder_of_the_lease_changes_a_request(change: str) -> None:
    """A task that slept past its lease finds the request in other hands."""
    request = ingesting(change)
    late = REQUESTS.to_ingest().begin(request.id, 60)
    assert late is not None
    REQUESTS.update(lease_until=timezone.now())
    holder = REQUESTS.to_ingest().begin(request.id, 60)
    assert holder is not None
    before = REQUESTS.values().get()
    assert not CHANGES[change](REQUESTS.all(), request.id, late)
    assert not CHANGES[change](REQUESTS.all(), request.id, uuid4())
    assert REQUESTS.values().get() == before
    assert CHANGES[change](REQUESTS.all(), request.id, holder)
    assert REQUESTS.values().get() != before


@pytest.mark.django_db
@pytest.mark.both_databases
def test_a_held_request_is_not_leased_twice() -> None:
    request = ingesting()
    lease_id = REQUESTS.hold(request.id, 60)
    assert lease_id is not None
    assert REQUESTS.hold(request.id, 60) is None
    assert REQUESTS.to_ingest().begin(request.id, 60) is None
    assert REQUESTS.release(request.id, lease_id)
    assert REQUESTS.hold(request.id, 60) not in (None, lease_id)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite locks no rows")
@pytest.mark.django_db(transaction=True)
def test_a_row_that_another_session_has_locked_is_not_waited_for() -> None:
    request = ingesting()
    with locked(REQUESTS.filter(id=request.id)):
        assert REQUESTS.hold(request.id, 60) is None
        assert REQUESTS.to_ingest().begin(request.id, 60) is None
    assert REQUESTS.hold(request.id, 60) is not None
