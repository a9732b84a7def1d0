"""The page with the columns that the user saved, and the one that changes them."""

from __future__ import annotations

import json

from django.contrib import messages
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from imageproc.intake import columns
from imageproc.models import ColumnMapping
from imageproc.web.access import WebRequest, personal
from imageproc.web.forms import ColumnsForm

SHOWN = 200


@require_GET
@personal
def mappings(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """The saved columns, the newest first."""
    saved = ColumnMapping.objects.filter(owner_id=owner_id).order_by("-saved_at")[:SHOWN]
    return render(request, "web/mappings.html", {"mappings": saved})


@require_http_methods(["GET", "POST"])
@personal
def mapping(request: WebRequest, owner_id: int, mapping_id: int) -> HttpResponseBase:
    """GET shows the columns of a header with their roles, POST saves other roles."""
    saved = get_object_or_404(ColumnMapping, owner_id=owner_id, id=mapping_id)
    if request.method == "POST":
        form = ColumnsForm({**request.POST.dict(), "header": json.dumps(saved.header)})
        try:
            form.full_clean()
            columns.save(owner_id, saved.header, form.choice())
        except ValueError:
            messages.error(request, "Choose the column that holds the image links.")
        else:
            messages.success(request, "The columns are saved.")
            return redirect("web:mappings")
    roles = dict.fromkeys(saved.images, "images") | {saved.serial: "serial", saved.name: "name"}
    named = [(name, roles.get(name, "") if name else "") for name in saved.header]
    return render(request, "web/mapping.html", {"mapping": saved, "columns": named})


@require_POST
@personal
def delete(request: WebRequest, owner_id: int, mapping_id: int) -> HttpResponseBase:
    """The columns of files with this header are found anew."""
    get_object_or_404(ColumnMapping, owner_id=owner_id, id=mapping_id).delete()
    messages.success(request, "The columns are deleted.")
    return redirect("web:mappings")
