"""An action of the admin: its confirmation page, its effect, and its entry in the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from unfold.decorators import action
from unfold.enums import ActionVariant

# Objects named on the confirmation page; of the rest only the number is shown.
NAMED = 20


@dataclass(frozen=True, slots=True)
class Operation:
    """``apply(object, answers)`` changes one object by a call of imageproc.requests.operations and
    returns how many rows changed: 0 or False if the object's state did not allow it.

    ``form(data, objects=…)`` asks for more than a confirmation. ``fits(object)``: whether the
    object's page shows the button; ``apply`` checks the state again.
    """

    name: str
    title: str
    question: str
    button: str
    apply: Callable[[Any, dict[str, Any]], int]
    form: type[AskForm] | None = None
    icon: str = ""
    danger: bool = False
    fits: Callable[[Any], bool] = lambda _: True

    def bind_form(self, request: HttpRequest, objects: Sequence[models.Model]) -> AskForm:
        confirmed = request.method == "POST" and "confirmed" in request.POST
        return (self.form or AskForm)(request.POST if confirmed else None, objects=objects)

    def carry_out(
        self, request: HttpRequest, objects: Iterable[models.Model], answers: dict[str, Any]
    ) -> None:
        """Apply to each object, log each change, and show the user what was done."""
        moved = rows = skipped = 0
        for one in objects:
            count = int(self.apply(one, answers))
            moved, rows, skipped = moved + bool(count), rows + count, skipped + (not count)
            if count:
                _log(request, one, f"{self.title}: {count}{_describe(answers)}")
        if moved:
            messages.success(
                request,
                f"{self.title}: {moved} done ({rows} row{'' if rows == 1 else 's'} changed).",
            )
        if skipped:
            messages.warning(
                request, f"{self.title}: {skipped} skipped, their state does not allow it."
            )


class AskForm(forms.Form):
    def __init__(self, data: Any, *, objects: Sequence[models.Model]) -> None:
        super().__init__(data)
        self.objects = objects


def ask_then_do(
    admin: Any,
    request: HttpRequest,
    operation: Operation,
    objects: Sequence[models.Model],
    back: str,
) -> HttpResponse:
    """Show the confirmation page; once it is confirmed, carry out and redirect to ``back``."""
    form = operation.bind_form(request, objects)
    if form.is_valid():
        operation.carry_out(request, objects, form.cleaned_data)
        return HttpResponseRedirect(back)
    context = {
        **admin.admin_site.each_context(request),
        "title": operation.title,
        "opts": admin.opts,
        "operation": operation,
        "named": [admin.describe(one) for one in objects[:NAMED]],
        "more": max(0, len(objects) - NAMED),
        "form": form,
        "back": back,
        "list_fields": _list_fields(request),
    }
    return TemplateResponse(request, "admin/operate/ask.html", context)


def on_list(operation: Operation) -> Any:
    """The operation as an action of a list, for the selected rows."""

    def run(admin: Any, request: HttpRequest, chosen: models.QuerySet[Any]) -> HttpResponse:
        objects = list(chosen[: admin.most_at_once + 1])
        if len(objects) > admin.most_at_once:
            objects.pop()
            messages.info(request, f"Only the first {admin.most_at_once} are processed at a time.")
        return ask_then_do(admin, request, operation, objects, request.get_full_path())

    run.__name__ = f"{operation.name}_chosen"
    return action(run, description=operation.title, permissions=["operate"])


def on_page(operation: Operation) -> Any:
    """The operation as a button of one object's page."""

    def run(admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
        one = admin.get_object(request, object_id)
        if one is None:
            messages.warning(request, f"There is no {admin.opts.verbose_name} {object_id}.")
            return redirect("admin:index")
        return ask_then_do(admin, request, operation, [one], admin.page_of(one))

    run.__name__ = operation.name
    run.operation = operation  # type: ignore[attr-defined]
    return action(
        run,
        description=operation.title,
        permissions=["operate"],
        url_path=operation.name.replace("_", "-"),
        icon=operation.icon or None,
        variant=ActionVariant.DANGER if operation.danger else ActionVariant.DEFAULT,
    )


def _list_fields(request: HttpRequest) -> list[tuple[str, str]]:
    """The fields of the list's form, sent again so that the list finds the same rows."""
    names = ("action", "select_across", "index", ACTION_CHECKBOX_NAME)
    across = request.POST.get("select_across") == "1"
    return [
        (name, value)
        for name in names
        for value in request.POST.getlist(name)[: 1 if across else None]
    ]


def _log(request: HttpRequest, one: models.Model, text: str) -> None:
    LogEntry.objects.log_actions(
        user_id=str(request.user.pk), queryset=[one], action_flag=CHANGE, change_message=text
    )


def _describe(answers: dict[str, Any]) -> str:
    text = ", ".join(f"{name} {value}" for name, value in answers.items() if value)
    return f" ({text})" if text else ""
