"""Every change of an image's state that needs no outcome, and what each query finds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from imageproc.models import ImageStatus, ProductImage
from tests.support import build
from tests.support.changes import after, at, changes

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
IMAGES = ProductImage.objects
STATES = list(ImageStatus.values)
LEASE, OTHER = UUID(int=1), UUID(int=2)


def row(status: str = "PENDING", **fields: Any) -> ProductImage:
    """An image, as the database accepts one of this state, of a request of its own."""
    if status == "PROCESSING":
        fields = {"lease_id": LEASE, "lease_until": after(500), "attempts": 1} | fields
    if status == "COMPLETED":
        facts = {"output_key": "k", "output_sha256": "ab", "output_size": 1}
        fields = facts | {"width": 1, "height": 1} | fields
    if status == "FAILED":
        fields = {"error_code": "not_found"} | fields
    of = build.request(0, total_products=1, total_images=1)
    return build.image(of, status=status, **at(fields))


BACK = {"status": "PENDING", "lease_id": None, "lease_until": None, "next_attempt_at": 0}
Change = Callable[[list[UUID]], Any]
# name: (the call, fields of the row, states in which it changes the row, what it changes then)
TRANSITIONS: dict[str, tuple[Change, dict[str, Any], list[str], dict[str, Any]]] = {
    "lease": (
        lambda ids: IMAGES.lease(ids, OTHER, 60),
        {"in_codec": True, "attempts": 4},
        ["PENDING"],
        {
            "status": "PROCESSING",
            "lease_id": OTHER,
            "lease_until": 60,
            "attempts": 5,
            "in_codec": False,
        },
    ),
    "hand_back": (
        lambda ids: IMAGES.hand_back(ids, [LEASE]),
        {"attempts": 4, "next_attempt_at": after(-300)},
        ["PROCESSING"],
        BACK | {"attempts": 3},
    ),
    "cancel": (
        IMAGES.cancel,
        {},
        ["PENDING", "PROCESSING"],
        {"status": "CANCELLED", "lease_id": None, "lease_until": None, "finished_at": 0},
    ),
    "put_back": (
        IMAGES.put_back,
        {
            "attempts": 4,
            "fetch_failures": 1,
            "store_failures": 2,
            "lost_count": 2,
            "next_attempt_at": after(-300),
            "error_message": "why",
            "finished_at": after(-300),
            "attempt_log": [{"code": "not_found"}],
            "output_key": "k",
        },
        ["FAILED", "COMPLETED"],
        {
            "status": "PENDING",
            "attempts": 0,
            "fetch_failures": 0,
            "store_failures": 0,
            "lost_count": 0,
            "next_attempt_at": 0,
            "error_code": "",
            "error_message": "",
            "finished_at": None,
        },
    ),
    "return_lost": (
        lambda ids: IMAGES.return_lost(ids, blamed=False),
        {"attempts": 4, "lost_count": 1, "next_attempt_at": after(-300)},
        ["PROCESSING"],
        BACK,
    ),
    "return_lost, blamed": (
        lambda ids: IMAGES.return_lost(ids, blamed=True),
        {"attempts": 4, "lost_count": 1, "next_attempt_at": after(-300)},
        ["PROCESSING"],
        BACK | {"lost_count": 2},
    ),
}


@pytest.mark.parametrize("name", TRANSITIONS)
@pytest.mark.parametrize("status", STATES)
def test_from_which_states_to_which_values(name: str, status: str) -> None:
    call, fields, allowed, expected = TRANSITIONS[name]
    of, _other = row(status, **fields), row(status, **fields)
    unchanged = {k for k, v in expected.items() if not isinstance(v, int) and v == getattr(of, k)}
    moved = {k: v for k, v in expected.items() if k not in unchanged}
    answer, changed = changes(ProductImage, lambda: call([of.id]))
    assert (answer, changed) == (int(status in allowed), {of.id: moved} if answer else {})


@pytest.mark.parametrize("status", STATES)
def test_only_a_held_lease_is_renewed_or_noted(status: str) -> None:
    of, _other = row(status), row(status, **lease_of(status, OTHER))
    held = status == "PROCESSING"
    until = {of.id: {"lease_until": 60}} if held else {}
    assert changes(ProductImage, lambda: IMAGES.renew([LEASE, uuid4()], 60)) == (held, until)
    noted = {of.id: {"in_codec": True}} if held else {}
    assert changes(ProductImage, lambda: IMAGES.note_in_codec(of.id, LEASE, True)) == (held, noted)


def lease_of(status: str, lease_id: UUID) -> dict[str, Any]:
    return {"lease_id": lease_id, "lease_until": after(500)} if status == "PROCESSING" else {}


def test_a_lease_of_another_neither_gives_back_nor_notes() -> None:
    mine, theirs = row("PROCESSING"), row("PROCESSING", lease_id=OTHER)
    assert changes(ProductImage, lambda: IMAGES.hand_back([mine.id], [OTHER])) == (0, {})
    assert changes(ProductImage, lambda: IMAGES.hand_back([uuid4()], [LEASE])) == (0, {})
    assert changes(ProductImage, lambda: IMAGES.note_in_codec(theirs.id, LEASE, True)) == (
        False,
        {},
    )
    both = [mine.id, theirs.id]
    assert IMAGES.hand_back(both, [LEASE, OTHER]) == 2


def test_an_image_leaves_the_codec() -> None:
    of = row("PROCESSING", in_codec=True)
    answer = changes(ProductImage, lambda: IMAGES.note_in_codec(of.id, LEASE, False))
    assert answer == (True, {of.id: {"in_codec": False}})


# name: (rows that are in it, rows that are not): (state, fields)
QUERIES: dict[str, tuple[list[tuple[str, Any]], list[tuple[str, Any]]]] = {
    "due": (
        [("PENDING", {}), ("PENDING", {"next_attempt_at": after(-2)})],
        [
            ("PENDING", {"next_attempt_at": after(20)}),
            *((s, {"next_attempt_at": after(-2)}) for s in STATES if s != "PENDING"),
        ],
    ),
    "suspects": (
        [("PENDING", {"lost_count": 1})],
        [
            ("PENDING", {}),
            ("PENDING", {"lost_count": 1, "next_attempt_at": after(20)}),
            ("PROCESSING", {"lost_count": 1}),
        ],
    ),
    "expired": (
        [("PROCESSING", {"lease_until": after(-1)})],
        [("PROCESSING", {"lease_until": after(20)}), ("PENDING", {}), ("FAILED", {})],
    ),
    "open": ([("PENDING", {}), ("PROCESSING", {})], [(s, {}) for s in STATES[2:]]),
}


@pytest.mark.parametrize("name", QUERIES)
def test_what_a_query_finds(name: str) -> None:
    inside, outside = QUERIES[name]
    found = {row(status, **fields).id for status, fields in inside}
    for status, fields in outside:
        row(status, **fields)
    assert set(getattr(IMAGES, name)().values_list("id", flat=True)) == found


@pytest.mark.parametrize("status", STATES)
def test_images_of_running_requests(status: str) -> None:
    of = row()
    ended = {"completed_at": at({"t": timedelta()})["t"]} if status in STATES[2:] else {}
    whole = {"completed_images": 1, "output_csv": "k"} if status == "COMPLETED" else {}
    type(of.request).objects.filter(id=of.request_id).update(status=status, **ended, **whole)
    assert list(IMAGES.of_running_requests()) == ([of] if status == "PROCESSING" else [])


def test_images_of_one_request_in_the_order_of_its_file() -> None:
    before, of, behind = (build.request(3) for _ in range(3))
    ids = sorted(of.images.values_list("id", flat=True))
    assert list(IMAGES.in_file_order(of.id).values_list("id", flat=True)) == ids
    assert before.images.count() == behind.images.count() == 3


@pytest.mark.parametrize(
    ("input_size", "output_size", "ratio"),
    [(None, 5, None), (0, 5, None), (5, None, None), (3, 1, 0.3333), (4, 0, 0.0), (2, 3, 1.5)],
)
def test_the_compression_ratio(
    input_size: int | None, output_size: int | None, ratio: float | None
) -> None:
    image = ProductImage(input_size=input_size, output_size=output_size)
    assert image.compression_ratio == ratio
