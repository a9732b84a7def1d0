"""Issues and revokes API keys. A secret is shown once and stored nowhere."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextInputWidget,
)

from imageproc.admin.base import OperatorAdmin, ago
from imageproc.admin.operation import Operation, on_list, on_page
from imageproc.models import ApiKey
from imageproc.models.apikey import SCOPES

REVOKE = Operation(
    name="revoke",
    title="Revoke",
    question="Programs that use this key lose access at once. This cannot be undone.",
    button="Revoke",
    icon="key_off",
    danger=True,
    fits=lambda key: key.revoked_at is None,
    apply=lambda key, _: ApiKey.objects.revoke(key.pk),
)


class IssueForm(forms.ModelForm):  # type: ignore[type-arg]
    owner = forms.ModelChoiceField(
        User.objects.all(),
        to_field_name="username",
        label="Owner (user name)",
        help_text="Programs with this key see and change this user's requests.",
        widget=UnfoldAdminTextInputWidget(),
        error_messages={"invalid_choice": "There is no user of this name."},
    )
    scopes = forms.MultipleChoiceField(
        choices=[(scope, scope) for scope in SCOPES],
        initial=list(SCOPES),
        help_text="upload: send catalogues. read: see progress and results. operate: retry, "
        "cancel, continue, delete, priorities and the webhook secret.",
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = ApiKey
        fields = ("owner", "name", "scopes", "expires_at")


@admin.register(ApiKey)
class KeyAdmin(OperatorAdmin):
    list_display = ("name", "prefix", "owner", "may", "state", "used")
    list_select_related = ("owner",)
    linked_by = frozenset({"owner__id__exact"})
    search_fields = ("name",)
    search_help_text = "Key name, key prefix, or user name"
    raw_id_fields = ("owner",)
    form = IssueForm
    actions = (on_list(REVOKE),)
    actions_detail = ("revoke",)
    revoke = on_page(REVOKE)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("imageproc.add_apikey"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return IssueForm.Meta.fields
        times = ("created_at", "expires_at", "last_used_at", "revoked_at")
        return ("owner", "name", "prefix", "may", *times)

    def describe(self, one: ApiKey) -> str:
        return f"{one.name} ({one.prefix}…) of {one.owner}"

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: Any) -> None:
        data = form.cleaned_data
        issued, secret = ApiKey.objects.issue(
            owner_id=data["owner"].pk,
            name=data["name"],
            scopes=tuple(data["scopes"]),
            expires_at=data["expires_at"],
        )
        obj.__dict__.update(issued.__dict__)
        messages.warning(request, f"Your key is {secret} – copy it now, it is not shown again.")

    def find_text(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        by_name = queryset.filter(name__icontains=term)
        return (
            by_name
            | queryset.filter(prefix__startswith=term[:12])
            | queryset.filter(owner__username=term)
        )

    @display(description="Permissions")
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @display(description="State", label={"active": "success", "revoked": "danger"})
    def state(self, key: ApiKey) -> str:
        return "revoked" if key.revoked_at else "active"

    @display(description="Last used")
    def used(self, key: ApiKey) -> str:
        return ago(key.last_used_at)
