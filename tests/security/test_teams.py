"""Requests of a team: seen by whoever is in the group now, and by nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import Settings

from imageproc.models import ProcessingRequest
from tests.security.conftest import with_key
from tests.security.test_isolation import OWN, address, caller, codes, things
from tests.support import build

__all__ = ["things"]
pytestmark = pytest.mark.django_db
CSV = b"S. No.,Product Name,Input Image Urls\n1,Shoe,http://8.8.8.8/1.jpg\n"
# Of a request: keys and saved columns are nobody's but their owner's.
SHARED = {
    route
    for route in OWN
    if not route.startswith(("keys/", "columns/"))
    and not route.endswith(("original", "<uuid:image_id>/"))  # nothing is stored here
}
PRIVATE = {route for route in OWN if route.startswith(("keys/", "columns/"))}


@pytest.fixture(autouse=True)
def _production(settings: Settings) -> None:
    settings.API_ANONYMOUS = False
    settings.CALLS_PER_MINUTE_ADDRESS = 0


@pytest.fixture
def team(things: dict[str, Any]) -> Group:
    """Olga's and Paul's, with Olga's request; Rita is a stranger."""
    shoes = Group.objects.create(name="Shoes")
    shoes.user_set.add(build.owner("olga"), build.owner("paul"))
    ProcessingRequest.objects.update(team=shoes)
    return shoes


@pytest.mark.parametrize("route", sorted(SHARED))
def test_members_only(route: str, things: dict[str, Any], team: Group) -> None:
    path = address(route, things)
    assert codes(caller("rita", route), path) - {405} == {404}
    assert codes(caller("paul", route), path) - {404, 405}
    team.user_set.remove(build.owner("paul"))
    assert codes(caller("paul", route), path) - {405} == {404}


@pytest.mark.parametrize("route", sorted(PRIVATE))
def test_keys_and_columns_are_not_shared(route: str, things: dict[str, Any], team: Group) -> None:
    assert codes(caller("paul", route), address(route, things)) - {405} == {404}


def test_a_group_alone_shares_nothing(things: dict[str, Any], team: Group) -> None:
    ProcessingRequest.objects.update(team=None)
    path = f"/api/requests/{things['<uuid:request_id>']}"
    assert with_key("paul").get(path).status_code == 404
    assert with_key("paul").get("/api/requests").json()["requests"] == []


def test_members_may_stop_it_and_only_the_owner_may_remove_it(
    things: dict[str, Any], team: Group
) -> None:
    request_id = things["<uuid:request_id>"]
    path = f"/api/requests/{request_id}"
    assert with_key("paul").post(f"{path}/cancel").json()["status"] == "CANCELLED"
    assert with_key("paul").delete(path).status_code == 403
    page = caller("paul", "")
    assert page.post(f"/requests/{request_id}/delete/").status_code == 403
    assert ProcessingRequest.objects.kept().filter(id=request_id).exists()
    assert with_key("olga").delete(path).status_code == 204
    assert with_key("paul").get(path).status_code == 404


def test_lists_show_each_once_and_whose_it_is(things: dict[str, Any], team: Group) -> None:
    both = Group.objects.create(name="Hats")
    both.user_set.add(build.owner("olga"), build.owner("paul"))
    mine = build.request(1, owner=build.owner("paul"), file_name="mine.csv", team=both)
    listed = {
        name: [one["requestId"] for one in with_key(name).get("/api/requests").json()["requests"]]
        for name in ("olga", "paul", "rita")
    }
    shared = [str(mine.id), str(things["<uuid:request_id>"])]
    assert listed == {"olga": shared, "paul": shared, "rita": []}
    html = caller("paul", "").get("/requests/").content.decode()
    assert " · olga" in html
    assert html.count(f"Delete {mine.file_name}") == 1
    assert "Delete products.csv" not in html
    page = caller("paul", "").get(f"/requests/{things['<uuid:request_id>']}/").content.decode()
    assert "by olga · team Shoes" in page
    assert 'id="cancel"' in page
    assert "as an operator" not in page


@pytest.mark.parametrize(("name", "code"), [("Shoes", ""), ("Boots", "team_unknown")])
def test_only_a_team_of_ones_own_can_be_chosen(team: Group, name: str, code: str) -> None:
    Group.objects.create(name="Boots").user_set.add(build.owner("rita"))
    file = SimpleUploadedFile("a.csv", CSV)
    answer = with_key("paul").post("/api/upload", {"file": file, "team": name})
    assert answer.json().get("code", "") == code
    made = ProcessingRequest.objects.filter(file_name="a.csv")
    assert list(made.values_list("team__name", flat=True)) == ([] if code else [name])


def test_the_page_offers_ones_teams(team: Group) -> None:
    def home(name: str) -> str:
        client = Client()
        client.force_login(build.owner(name))
        return client.get("/").content.decode()

    assert '<option value="Shoes">Team Shoes</option>' in home("paul")
    assert "Who sees it" not in home("rita")
