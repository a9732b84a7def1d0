"""A query whose SQL is made once answers as the query set does that it was made of."""

import threading
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import BigIntegerField, UUIDField

from imageproc.models import ApiKey, ProcessingRequest
from imageproc.models.statement import Given, Statement
from tests.domain import build

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def owned() -> Statement[ProcessingRequest]:
    return Statement(
        lambda: ProcessingRequest.objects.owned_by(Given("owner_id", BigIntegerField()))
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


@pytest.mark.django_db(transaction=True)
def test_made_in_a_thread_that_has_ended() -> None:
    asked, of = owned(), build.request(0)
    made = threading.Thread(target=lambda: asked._compiled)
    made.start()
    made.join()
    assert asked.rows(owner_id=of.owner_id) == [of]
