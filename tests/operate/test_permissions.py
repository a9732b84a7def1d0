"""Who may look may not act: every operation of every list and page, for staff that may only view.

The operations are read off the admin itself, so that a new one is tested as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db import models
from django.db.models.functions import Now
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from imageproc.faults import NOT_FOUND
from imageproc.images.claim import claim
from imageproc.images.outcome import Failed
from imageproc.images.record import record
from imageproc.models import (
    ApiKey,
    ClusterHeartbeat,
    Host,
    HostAccess,
    MailDelivery,
    ProcessingRequest,
    ProductImage,
    Switch,
    WebhookDelivery,
)
from tests.support import build

pytestmark = pytest.mark.django_db
OURS = [
    model
    for model in apps.get_app_config("imageproc").get_models()
    if admin.site.is_registered(model)
]


def admin_of(model: type[models.Model]) -> Any:
    return admin.site.get_model_admin(model)


CONFIRMED = {"confirmed": "yes", "priority": "high", "pace": "2"}
# (model, operation) of a page's buttons, and of a list's actions.
BUTTONS = [
    pytest.param(model, name, id=f"{model.__name__}-{name}")
    for model in OURS
    for name in admin_of(model).actions_detail
]
ACTIONS = [
    pytest.param(model, action.__name__, id=f"{model.__name__}-{action.__name__}")
    for model in OURS
    for action in admin_of(model).actions
]


def staff(*permissions: str) -> Client:
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


VIEW = [f"view_{model._meta.model_name}" for model in OURS]
# All that Django itself offers: none of it is a right to operate.
EDIT = [f"{verb}_{m._meta.model_name}" for m in OURS for verb in ("change", "delete")]


@pytest.fixture
def things() -> dict[type[models.Model], models.Model]:
    """One of everything that an operation would change."""
    of = build.request(2, webhook_url="http://r.example/")
    first, second = claim()
    record([build.done(first), Failed(second, NOT_FOUND)])
    ProcessingRequest.objects.filter(id=of.id).update(
        total_images=3
    )  # still open, so that it can be cancelled
    delivery = WebhookDelivery.objects.create(
        request=of,
        event="request.failed",
        url=of.webhook_url,
        body="{}",
        status="FAILED",
        attempts=9,
        finished_at=timezone.now(),
    )
    mail = MailDelivery.objects.create(
        request=of, event="request.failed", address="olga@shop.example", subject="s", body="b"
    )
    key, _ = ApiKey.objects.issue(owner_id=of.owner_id, name="shop")
    Switch.objects.set_paused(Switch.INTAKE, False)
    Switch.objects.set_paused(Switch.WORKERS, True)
    return {
        ProcessingRequest: of,
        ProductImage: of.images.get(status="FAILED"),
        WebhookDelivery: delivery,
        MailDelivery: mail,
        ApiKey: key,
        Host: Host.objects.create(name="shop.example", pace=1.0),
        HostAccess: HostAccess.objects.create(host="shop.example", sealed="x"),
        Switch: Switch.objects.get(name=Switch.INTAKE),
    }


def thing_for(things: dict[Any, Any], model: Any, name: str) -> Any:
    if name == "open":
        Host.objects.update(held=True)
    if name == "continue_cancelled":
        ProductImage.objects.filter(status="COMPLETED").update(status="CANCELLED")
        ProcessingRequest.objects.update(
            status="CANCELLED", completed_at=Now(), completed_images=0, cancelled_images=2
        )
    return Switch.objects.get(name=Switch.WORKERS) if name == "resume" else things[model]


def everything() -> list[Any]:
    """All rows of the service, as they are."""
    ours = (m for m in OURS if m is not ClusterHeartbeat)
    return [list(model._default_manager.order_by("pk").values()) for model in ours]


def test_there_is_something_to_forbid() -> None:
    assert len(BUTTONS) >= 9
    assert len(ACTIONS) >= 7


@pytest.mark.parametrize("permissions", [VIEW, [*VIEW, *EDIT]], ids=["view", "view and edit"])
@pytest.mark.parametrize(("model", "name"), BUTTONS)
def test_no_button_for_who_may_only_view(
    things: dict[Any, Any], model: Any, name: str, permissions: list[str]
) -> None:
    one, client = thing_for(things, model, name), staff(*permissions)
    path = reverse(f"admin:imageproc_{model._meta.model_name}_{name}", args=[one.pk])
    page = reverse(f"admin:imageproc_{model._meta.model_name}_change", args=[one.pk])
    before = everything()
    for answer in (client.get(path), client.post(path, CONFIRMED)):
        assert answer.status_code == 403
    assert everything() == before
    shown = client.get(page)
    assert shown.status_code == 200
    assert path not in shown.content.decode()


@pytest.mark.parametrize("permissions", [VIEW, [*VIEW, *EDIT]], ids=["view", "view and edit"])
@pytest.mark.parametrize(("model", "name"), ACTIONS)
def test_no_action_for_who_may_only_view(
    things: dict[Any, Any], model: Any, name: str, permissions: list[str]
) -> None:
    path = reverse(f"admin:imageproc_{model._meta.model_name}_changelist")
    client, before = staff(*permissions), everything()
    data = {"action": name, "_selected_action": [str(things[model].pk)], **CONFIRMED}
    client.post(path, data)
    assert everything() == before
    assert name not in client.get(path).content.decode()


@pytest.mark.parametrize(("model", "name"), BUTTONS)
def test_an_operator_may(things: dict[Any, Any], model: Any, name: str) -> None:
    """The same call moves something for who may operate: the others fail for want of the right."""
    one, client = thing_for(things, model, name), staff(*VIEW, "operate")
    path = reverse(f"admin:imageproc_{model._meta.model_name}_{name}", args=[one.pk])
    before = everything()
    assert client.get(path).status_code == 200
    assert everything() == before  # it only asks
    client.post(path, {"priority": "high"})
    assert everything() == before
    assert client.post(path, CONFIRMED).status_code == 302
    assert everything() != before


@pytest.mark.parametrize(("model", "name"), ACTIONS)
def test_an_operator_may_over_a_list(things: dict[Any, Any], model: Any, name: str) -> None:
    path = reverse(f"admin:imageproc_{model._meta.model_name}_changelist")
    client, before = staff(*VIEW, "operate"), everything()
    data = {"action": name, "_selected_action": [str(things[model].pk)]}
    client.post(path, data)
    assert everything() == before
    client.post(path, data | CONFIRMED)
    assert everything() != before


def edits(one: models.Model) -> Iterator[str]:
    stem = f"admin:imageproc_{one._meta.model_name}"
    for name, args in (("add", []), ("change", [one.pk]), ("delete", [one.pk])):
        try:
            yield reverse(f"{stem}_{name}", args=args)
        except NoReverseMatch:
            continue


BY_OPERATIONS_ONLY = [model for model in OURS if model is not HostAccess]


@pytest.mark.parametrize("model", BY_OPERATIONS_ONLY, ids=lambda model: model.__name__)
def test_nothing_is_added_edited_or_deleted_by_hand(things: dict[Any, Any], model: Any) -> None:
    """Not even by who has every one of Django's rights but that to issue keys."""
    one = things.get(model) or model._default_manager.first()
    if one is None:
        one = ClusterHeartbeat.objects.create(name="images", host="a", pid=1, workers=1)
    client = staff(*VIEW, *EDIT, "operate")
    before = everything()
    for path in edits(one):
        answer = client.post(path, {"post": "yes", "name": "x", "owner": "1", "scopes": "read"})
        assert answer.status_code == 403
    path = reverse(f"admin:imageproc_{model._meta.model_name}_changelist")
    data = {"action": "delete_selected", "_selected_action": [str(one.pk)], "post": "yes"}
    client.post(path, data)
    assert everything() == before


@pytest.mark.parametrize("model", OURS, ids=[model.__name__ for model in OURS])
def test_each_list_needs_its_own_right(things: dict[Any, Any], model: Any) -> None:
    name = model._meta.model_name
    client = staff(*(right for right in VIEW if right != f"view_{name}"), "operate")
    path = reverse(f"admin:imageproc_{name}_changelist")
    assert client.get(path).status_code == 403


def test_the_switches_of_the_first_page_are_the_operators() -> None:
    for rights, shown in (([], False), (["operate"], True)):
        User.objects.filter(username="vera").delete()
        page = staff(*VIEW, *rights).get(reverse("admin:index")).content.decode()
        assert (reverse("admin:imageproc_switch_pause", args=["workers"]) in page) is shown


def test_who_issues_a_key_has_the_right_to() -> None:
    data = {"owner": build.owner().username, "name": "shop", "scopes": ["read"]}
    path = reverse("admin:imageproc_apikey_add")
    assert staff(*VIEW, "operate").post(path, data).status_code == 403
    assert not ApiKey.objects.exists()
    User.objects.filter(username="vera").delete()
    moment = {"expires_at_0": "2999-01-31", "expires_at_1": "00:00:00"}
    assert staff(*VIEW, "add_apikey").post(path, data | moment).status_code == 302
    key = ApiKey.objects.get()
    assert (key.name, key.scopes, key.owner_id) == ("shop", ["read"], build.owner().pk)
    assert key.expires_at is not None
    assert key.expires_at.year == 2999


@pytest.mark.parametrize("rights", [[*VIEW, *EDIT, "add_hostaccess"], ["operate"]])
def test_who_sets_what_a_host_is_sent_may_operate_and_see_the_list(
    things: dict[Any, Any], rights: list[str]
) -> None:
    client, one = staff(*rights), things[HostAccess]
    for verb, args in (("change", [one.pk]), ("delete", [one.pk])):
        path = reverse(f"admin:imageproc_hostaccess_{verb}", args=args)
        assert client.post(path, {"headers": "A: b", "post": "yes"}).status_code == 403
    one.refresh_from_db()
    assert one.sealed == "x"
