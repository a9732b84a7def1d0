"""Header fields that image hosts want to see. What is set is never shown again, only replaced."""

from __future__ import annotations

import base64
import re
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from imageproc.admin.base import OperatorAdmin, ago
from imageproc.models import HostAccess
from imageproc.sheet import UrlProblem, check_url

# RFC 9110, 5.1 and 5.5: a token; visible characters with blanks between them.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")
# What the client itself needs in order to read the answer right.
_OURS = re.compile(
    r"(?i)host|connection|keep-alive|content-.*|transfer-encoding|te|trailer|upgrade|expect|range"
    r"|if-.*|accept-encoding|proxy-.*"
)


class _Unseen:
    """A widget that never shows what was entered, not even beside an error."""

    def format_value(self, value: Any) -> None:
        return None


class UnseenInput(_Unseen, UnfoldAdminTextInputWidget):  # type: ignore[misc]
    input_type = "password"


class UnseenText(_Unseen, UnfoldAdminTextareaWidget):  # type: ignore[misc]
    pass


class AccessForm(forms.ModelForm):  # type: ignore[type-arg]
    user_agent = forms.CharField(
        label="User-Agent", required=False, max_length=500, widget=UnfoldAdminTextInputWidget
    )
    username = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="For basic authentication.",
    )
    password = forms.CharField(
        required=False,
        max_length=500,
        strip=False,
        widget=UnseenInput(attrs={"autocomplete": "new-password"}),
    )
    headers = forms.CharField(
        required=False,
        max_length=8000,
        widget=UnseenText(attrs={"rows": 4, "autocomplete": "off"}),
        help_text="Other header fields, one a line: X-Api-Key: 1234",
    )

    class Meta:
        model = HostAccess
        fields = ("host", "owner")

    def clean_host(self) -> str:
        name = self.cleaned_data["host"].strip()
        url = check_url(f"https://{name}/")
        if isinstance(url, UrlProblem) or set(name) & set("/:@?#\\"):
            raise forms.ValidationError("Enter a host name alone, as in images.example.com.")
        return url.authority.host

    def clean_headers(self) -> dict[str, str]:
        """Messages name the field at the most, never its value."""
        fields = {}
        for number, line in enumerate(self.cleaned_data["headers"].splitlines(), 1):
            name, colon, value = (part.strip() for part in line.partition(":"))
            if not line.strip():
                continue
            if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise forms.ValidationError(f"Line {number} is not of the form Name: value.")
            if _OURS.fullmatch(name):
                raise forms.ValidationError(f"{name} cannot be set.")
            fields[name] = value
        return fields

    def clean_user_agent(self) -> str:
        value = str(self.cleaned_data["user_agent"]).strip()
        if value and not _VALUE.fullmatch(value):
            raise forms.ValidationError("Use plain letters, digits and signs.")
        return value

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if ":" in data.get("username", ""):  # RFC 7617, 2
            self.add_error("username", "A user name cannot contain a colon.")
        if bool(data.get("username")) < bool(data.get("password")):
            self.add_error("username", "Enter the user name, too.")
        if not self.errors and self.instance.pk is None and not self.fields_to_send():
            raise forms.ValidationError("Enter something that the host is to be sent.")
        return data

    def fields_to_send(self) -> dict[str, str]:
        data = self.cleaned_data
        fields = dict(data["headers"])
        if data["user_agent"]:
            fields["User-Agent"] = data["user_agent"]
        if data["username"]:
            pair = f"{data['username']}:{data['password']}".encode()
            fields["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        return fields


@admin.register(HostAccess)
class AccessAdmin(OperatorAdmin):
    list_display = ("host", "whose", "sent", "changed")
    list_select_related = ("owner",)
    ordering = ("host", "id")
    raw_id_fields = ("owner",)
    form = AccessForm

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_operate_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj) and self.has_operate_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_change_permission(request, obj)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None and not self.has_change_permission(request, obj):
            return ("host", "owner", "sent", "changed_at")
        typed = ("user_agent", "username", "password", "headers")
        return ("host", "owner", *(("sent",) if obj else ()), *typed)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """With another host, it would be sent what was entered for the old one."""
        return ("host", "owner", "sent", "changed_at") if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """What is entered replaces all that was set; nothing entered keeps it."""
        if fields := form.fields_to_send():
            obj.seal(fields)
        obj.save()

    @display(description="Owner")
    def whose(self, access: HostAccess) -> str:
        return access.owner.get_username() if access.owner else "everybody"

    @display(description="Sent to the host")
    def sent(self, access: HostAccess) -> str:
        """The names of the fields, their values masked."""
        if (fields := access.headers()) is None:
            return "unreadable, because SECRET_KEY has changed: enter it again"
        return ", ".join(f"{name}: ••••" for name in fields)

    @display(description="Changed")
    def changed(self, access: HostAccess) -> str:
        return ago(access.changed_at)
