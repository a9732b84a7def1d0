"""Every change of a request's state: from which states, under which conditions, to which values.

Each table names the one row that a change may touch; a second row like it must stay as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from imageproc.models import ProcessingRequest, RequestStatus
from imageproc.models.request_states import MAX_TASK_ATTEMPTS
from tests.support import build
from tests.support.changes import after, at, changes

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
REQUESTS = ProcessingRequest.objects
STATES = list(RequestStatus.values)
ENDED = ["COMPLETED", "FAILED", "CANCELLED"]
Change = Callable[[UUID], Any]


def row(status: str = "PROCESSING", **fields: Any) -> ProcessingRequest:
    """A request of three images without rows, as the database accepts one of this state."""
    fields = {"total_images": 3, "total_products": 3, "ingested_products": 3} | fields
    if status in ENDED:
        fields = {"completed_at": after(-1000)} | fields
    if status == "COMPLETED":
        fields = {"completed_images": 1, "output_csv": "out"} | fields
    return build.request(0, status=status, **at(fields))


def all_done(**fields: Any) -> dict[str, Any]:
    return {"completed_images": 1, "failed_images": 1, "cancelled_images": 1} | fields


# --- From state to state --------------------------------------------------------------------------
# name: (the call, fields of the row, states in which it changes the row, what it changes then)
TRANSITIONS: dict[str, tuple[Change, dict[str, Any], list[str], dict[str, Any]]] = {
    "start": (REQUESTS.start, {}, ["PENDING"], {"status": "PROCESSING", "started_at": 0}),
    "cancel": (
        REQUESTS.cancel,
        {},
        ["PENDING", "PROCESSING"],
        {
            "status": "CANCELLED",
            "error_message": "The request was cancelled.",
            "completed_at": 0,
        },
    ),
    "fail": (
        lambda id_: REQUESTS.fail(id_, "Its file is gone."),
        {},
        ["PENDING", "PROCESSING"],
        {"status": "FAILED", "error_message": "Its file is gone.", "completed_at": 0},
    ),
    "settle": (
        lambda id_: REQUESTS.settle(id_, output_csv="new", reopened=0),
        all_done(error_message="old"),
        ["PROCESSING"],
        {"status": "COMPLETED", "error_message": "", "output_csv": "new", "completed_at": 0},
    ),
    "settle without a success": (
        lambda id_: REQUESTS.settle(id_, output_csv="new", reopened=0),
        {"failed_images": 2, "cancelled_images": 1},
        ["PROCESSING"],
        {
            "status": "FAILED",
            "error_message": "None of the images could be processed.",
            "output_csv": "new",
            "completed_at": 0,
        },
    ),
    "set_priority": (
        lambda id_: REQUESTS.set_priority(id_, "high"),
        {},
        ["PENDING", "PROCESSING"],
        {"priority": "high"},
    ),
    "remove": (
        REQUESTS.remove,
        {"webhook_url": "http://r.example/", "idempotency_key": "{status}"},
        STATES,
        {"removed_at": 0, "webhook_url": "", "idempotency_key": None},
    ),
    "count_cancelled": (
        REQUESTS.count_cancelled,
        {"completed_images": 1, "failed_images": 1},
        ENDED,
        {"cancelled_images": 1},
    ),
    "count_cancelled with a reason": (
        lambda id_: REQUESTS.count_cancelled(id_, "It was given up."),
        {"completed_images": 1, "failed_images": 0},
        ENDED,
        {"cancelled_images": 2, "error_message": "It was given up."},
    ),
}


@pytest.mark.parametrize("name", TRANSITIONS)
@pytest.mark.parametrize("status", STATES)
def test_from_which_states_to_which_values(name: str, status: str) -> None:
    call, fields, allowed, expected = TRANSITIONS[name]
    if status == "COMPLETED" and not fields.get("completed_images", 1):
        fields = fields | {"completed_images": 1}
    if name == "settle without a success" and status == "COMPLETED":
        fields = {"failed_images": 1, "cancelled_images": 1}
    pair = [
        row(status, **{k: f"k{n}" if k == "idempotency_key" else v for k, v in fields.items()})
        for n in range(2)
    ]
    answer, changed = changes(ProcessingRequest, lambda: call(pair[0].id))
    assert answer is (status in allowed)
    assert changed == ({pair[0].id: expected} if status in allowed else {})


# What else a change needs: one condition at a time is not met, and nothing is written.
UNMET: list[tuple[str, Change, dict[str, Any]]] = [
    ("set_priority", lambda id_: REQUESTS.set_priority(id_, "low"), {"removed_at": after(0)}),
    ("remove", REQUESTS.remove, {"removed_at": after(0)}),
    (
        "settle: an image is open",
        lambda id_: REQUESTS.settle(id_, output_csv="new", reopened=0),
        {"completed_images": 1, "failed_images": 1},
    ),
    (
        "settle: reopened since",
        lambda id_: REQUESTS.settle(id_, output_csv="new", reopened=0),
        all_done(reopened=1),
    ),
    (
        "settle: of an earlier time",
        lambda id_: REQUESTS.settle(id_, output_csv="new", reopened=2),
        all_done(reopened=1),
    ),
    ("reopen: too few failed", lambda id_: REQUESTS.reopen(id_, failed=2), {"failed_images": 1}),
    (
        "reopen: too few completed",
        lambda id_: REQUESTS.reopen(id_, completed=2),
        {"completed_images": 1},
    ),
    (
        "reopen: removed",
        lambda id_: REQUESTS.reopen(id_, failed=1),
        {"failed_images": 1, "removed_at": after(0)},
    ),
    (
        "reopen: ended before every row was written",
        lambda id_: REQUESTS.reopen(id_, failed=1),
        {"status": "FAILED", "failed_images": 1, "ingested_products": 2},
    ),
    (
        "count_cancelled: nothing is open",
        REQUESTS.count_cancelled,
        all_done(status="CANCELLED"),
    ),
    (
        "count_cancelled: removed",
        REQUESTS.count_cancelled,
        {"status": "CANCELLED", "removed_at": after(0)},
    ),
]


@pytest.mark.parametrize(("name", "call", "fields"), UNMET)
def test_a_condition_that_is_not_met(name: str, call: Change, fields: dict[str, Any]) -> None:
    of = row(**fields)
    assert changes(ProcessingRequest, lambda: call(of.id)) == (False, {})


REOPENED = {
    "reopened": 5,
    "failed_images": 0,
    "completed_images": 1,
    "bytes_in": 60,
    "bytes_out": 7,
}
OPEN_AGAIN = {
    "error_message": "",
    "status": "PROCESSING",
    "completed_at": None,
    "idle": after(1000),
    "retried_images": 2,
    "completed_before_retry": 1,
}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("PENDING", None),
        ("PROCESSING", REOPENED | {"error_message": ""}),
        ("COMPLETED", REOPENED | OPEN_AGAIN),
        ("FAILED", REOPENED | OPEN_AGAIN),
        ("CANCELLED", None),
    ],
)
def test_reopen_takes_its_counts_back(status: str, expected: dict[str, Any] | None) -> None:
    fields = {
        "failed_images": 1,
        "completed_images": 2,
        "bytes_in": 100,
        "bytes_out": 10,
        "error_message": "why",
        "reopened": 4,
    }
    of, _other = row(status, **fields), row(status, **fields)
    answer, changed = changes(
        ProcessingRequest,
        lambda: REQUESTS.reopen(of.id, failed=1, completed=1, bytes_in=40, bytes_out=3),
    )
    assert (answer, changed) == (expected is not None, {of.id: expected} if expected else {})


def test_reopen_while_the_rows_are_still_being_written() -> None:
    of = row(ingested_products=1, failed_images=1)
    assert REQUESTS.reopen(of.id, failed=1)


# --- Leases of control tasks ----------------------------------------------------------------------
HELD: dict[str, Any] = {"lease_id": UUID(int=1), "lease_until": after(500), "task_attempts": 3}
Fenced = Callable[[UUID, UUID], Any]
FENCED: dict[str, tuple[Fenced, dict[str, Any], dict[str, Any]]] = {
    "extend": (lambda id_, lease: REQUESTS.extend(id_, lease, 60), {}, {"lease_until": 60}),
    "advance": (
        lambda id_, lease: REQUESTS.advance(id_, lease, 60),
        {},
        {"lease_until": 60, "task_attempts": 1},
    ),
    "postpone": (
        lambda id_, lease: REQUESTS.postpone(id_, lease, 60),
        {},
        {"lease_id": None, "lease_until": 60, "task_attempts": 2},
    ),
    "release": (
        REQUESTS.release,
        {},
        {"lease_id": None, "lease_until": None, "task_attempts": 0},
    ),
    "advance_ingest": (
        lambda id_, lease: REQUESTS.advance_ingest(id_, lease, old=1, new=3, seconds=60),
        {"ingested_products": 1},
        {"ingested_products": 3, "lease_until": 60, "task_attempts": 1},
    ),
    "finish_ingest": (
        REQUESTS.finish_ingest,
        {},
        {"ingested_at": 0, "lease_id": None, "lease_until": None, "task_attempts": 0},
    ),
}


@pytest.mark.parametrize("name", FENCED)
def test_the_holder_changes_its_own_request_alone(name: str) -> None:
    call, fields, expected = FENCED[name]
    of, _other = row(**HELD, **fields), row(**HELD, **fields)
    assert changes(ProcessingRequest, lambda: call(of.id, uuid4())) == (False, {})
    answer, changed = changes(ProcessingRequest, lambda: call(of.id, UUID(int=1)))
    assert (answer, changed) == (True, {of.id: expected})


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("postpone", {"task_attempts": 0}),
        ("advance_ingest", {"ingested_products": 0}),
        ("advance_ingest", {"ingested_products": 2}),
        ("advance_ingest", {"status": "PENDING", "ingested_products": 1}),
        ("advance_ingest", {"status": "CANCELLED", "ingested_products": 1}),
        ("finish_ingest", {"ingested_products": 2}),
        ("finish_ingest", {"ingested_at": after(-5)}),
    ],
)
def test_the_holder_finds_a_condition_not_met(name: str, fields: dict[str, Any]) -> None:
    of = row(**(HELD | FENCED[name][1] | fields))
    answer = changes(ProcessingRequest, lambda: FENCED[name][0](of.id, UUID(int=1)))
    assert answer == (False, {})


@pytest.mark.parametrize(("until", "free"), [(None, True), (after(-1), True), (after(30), False)])
@pytest.mark.parametrize("method", ["begin", "hold"])
def test_who_may_take_a_request(until: Any, free: bool, method: str) -> None:
    """A lease that is over may be taken from its holder; so may one that was only postponed."""
    for lease_id in (None, uuid4()):
        of, _other = (row(lease_id=lease_id, lease_until=until, task_attempts=2) for _ in "ab")
        taken, changed = changes(
            ProcessingRequest, partial(getattr(REQUESTS.all(), method), of.id, 60)
        )
        fields = {"lease_id": taken, "lease_until": 60}
        if method == "begin":
            fields["task_attempts"] = 3
        assert (taken is not None) is free
        assert changed == ({of.id: fields} if free else {})


def test_only_a_request_of_the_query_is_taken() -> None:
    pending, running = row("PENDING"), row()
    assert REQUESTS.filter(status="PENDING").begin(running.id, 60) is None
    assert REQUESTS.filter(status="PENDING").begin(pending.id, 60) is not None


# --- What waits for which task --------------------------------------------------------------------
LONG_AGO = after(-601)
# name: (fields of a row that is in it, fields of which each one alone takes the row out)
QUERIES: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "kept": ([{"status": s} for s in STATES], [{"removed_at": after(0)}]),
    "open": ([{"status": "PENDING"}, {}], [{"status": s} for s in ENDED]),
    "settled": (
        [all_done(), {"failed_images": 3}, {"completed_images": 3}, {"cancelled_images": 3}],
        [
            {"completed_images": 2},
            {},
            all_done(status="PENDING"),
            all_done(status="CANCELLED"),
            all_done(status="FAILED"),
        ],
    ),
    "free": (
        [{}, {"lease_until": after(-1)}, {"lease_until": after(-1), "lease_id": uuid4()}],
        [{"lease_until": after(60)}, {"lease_until": after(60), "lease_id": uuid4()}],
    ),
    "to_ingest": (
        [{"status": "PENDING"}, {"ingested_products": 1}],
        [{"ingested_at": after(0)}, *({"status": s} for s in ENDED)],
    ),
    "to_close": (
        [{"status": s} for s in ENDED],
        [
            {},
            {"status": "PENDING"},
            {"status": "CANCELLED", "removed_at": after(0)},
            all_done(status="CANCELLED"),
        ],
    ),
    "to_erase": (
        [
            {"removed_at": after(0)},
            {"removed_at": LONG_AGO, "erased_at": after(-500)},
            {"removed_at": after(0), "task_attempts": MAX_TASK_ATTEMPTS},
        ],
        [
            {},
            {"erased_at": after(0)},
            {"removed_at": after(-590), "erased_at": after(-500)},
            {"removed_at": after(0), "task_attempts": MAX_TASK_ATTEMPTS + 1},
        ],
    ),
    "reopenable": (
        [{}, {"ingested_products": 0}, {"status": "COMPLETED"}, {"status": "FAILED"}],
        [
            {"status": "PENDING"},
            {"status": "CANCELLED"},
            {"status": "COMPLETED", "ingested_products": 2},
            {"status": "FAILED", "ingested_products": 2},
            {"removed_at": after(0)},
            {"status": "FAILED", "removed_at": after(0)},
        ],
    ),
}


@pytest.mark.parametrize("name", QUERIES)
def test_what_a_query_finds(name: str) -> None:
    inside, outside = QUERIES[name]
    found = {row(**fields).id for fields in inside}
    for fields in outside:
        row(**fields)
    assert set(getattr(REQUESTS, name)().values_list("id", flat=True)) == found


def test_a_task_ends_after_five_attempts() -> None:
    assert MAX_TASK_ATTEMPTS == 5


def test_what_an_owner_sees_and_has_in_hand() -> None:
    olga, paul = build.owner("olga"), build.owner("paul")
    mine = row(owner=olga, completed_images=1)
    waiting = row("PENDING", owner=olga)
    ended = row("FAILED", owner=olga)
    gone = row(owner=olga, removed_at=after(0), failed_images=1, cancelled_images=1)
    row(owner=paul)
    assert set(REQUESTS.owned_by(olga.pk)) == {mine, waiting, ended}
    assert REQUESTS.in_hand(olga.pk) == (3, 2 + 3 + 1)
    assert REQUESTS.in_hand(paul.pk) == (1, 3)
    assert REQUESTS.in_hand(0) == (0, 0)
    assert gone not in REQUESTS.owned_by(olga.pk)
