"""A query whose SQL is made once answers as the query set does that it was made of."""

import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models import BigIntegerField, UUIDField

from imageproc.models import ApiKey, ProcessingRequest
from imageproc.models.statement import Given, Statement
from tests.support import build

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def owned() -> Statement[ProcessingRequest]:
    return Statement(
        lambda: ProcessingRequest.objects.owned_by(Given("owner_id", BigIntegerField()))
    )


def ids() -> Statement[tuple[UUID]]:
    return Statement(
        lambda: ProcessingRequest.objects.owned_by(
            Given("owner_id", BigIntegerField())
        ).values_list("id")
    )


def test_each_call_has_its_own_values() -> None:
    mine, another = build.request(0), build.request(0, owner=build.owner("otto"))
    asked = owned()
    for of in (mine, another, mine):
        [found] = asked.rows(owner_id=of.owner_id)
        assert (found, found.created_at, found.recipe) == (of, of.created_at, of.recipe)
    assert asked.rows(owner_id=0) == []


def test_models_come_with_what_was_selected_along(django_assert_num_queries: Any) -> None:
    _, secret = ApiKey.objects.issue(owner_id=build.owner().id, name="till")
    found = ApiKey.objects.find(secret)
    assert found is not None
    with django_assert_num_queries(0):
        assert (found.owner.username, found.scopes) == ("olga", ["upload", "read", "operate"])


def test_tuples_and_converted_values() -> None:
    of = build.request(0)
    found = Statement(
        lambda: ProcessingRequest.objects.filter(id=Given("id", UUIDField())).values_list(
            "recipe", "id"
        )
    )
    assert found.rows(id=of.id) == [(of.recipe, of.id)]
    assert found.first(id=uuid4()) is None


def test_two_are_asked_in_one_message(django_assert_num_queries: Any) -> None:
    mine, another = build.request(0), build.request(0, owner=build.owner("otto"))
    both = owned().given(owner_id=mine.owner_id), ids().given(owner_id=another.owner_id)
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 2):
        assert both[0].with_rows_of(both[1]) == ([mine], [(another.id,)])
    nothing = ids().given(owner_id=0)
    assert nothing.with_rows_of(both[0]) == ([], [mine])
    assert both[0].with_rows_of(nothing) == ([mine], [])


def test_two_are_asked_one_by_one_where_the_server_binds_their_values(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    """A prepared statement is one statement."""
    of = build.request(0)
    monkeypatch.setattr(connection.features, "uses_server_side_binding", True, raising=False)
    with django_assert_num_queries(2):
        both = owned().given(owner_id=of.owner_id), ids().given(owner_id=of.owner_id)
        assert both[0].with_rows_of(both[1]) == ([of], [(of.id,)])


@pytest.mark.django_db(transaction=True)
def test_made_in_a_thread_that_has_ended() -> None:
    asked, of = owned(), build.request(0)
    made = threading.Thread(target=lambda: asked._compiled)
    made.start()
    made.join()
    assert asked.rows(owner_id=of.owner_id) == [of]
