"""The first page: choose a CSV, check what it contains, start."""

from __future__ import annotations

import json
from http import HTTPStatus
from io import BytesIO
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib import messages
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect, reswap, retarget

from imageproc import intake
from imageproc.api.access import own_address
from imageproc.images.fetch import Policy, check
from imageproc.intake import columns
from imageproc.models import Switch
from imageproc.requests import report
from imageproc.sheet import ERROR_COLUMNS, write_errors
from imageproc.web import sample
from imageproc.web.access import WebRequest, personal
from imageproc.web.forms import ColumnsForm, UploadForm

RECENT = 5
TOP_HOSTS = 6


@require_http_methods(["GET", "POST"])
@personal
def home(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """GET shows the page; POST starts a request and redirects to its page."""
    if request.method == "POST":
        return _start(request, owner_id)
    return render(request, "web/home.html", _home(request, owner_id))


@require_POST
@personal
def inspect(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """The dry run: shows what the file contains or what is wrong with it; stores nothing."""
    form = UploadForm(request.POST, request.FILES, owner_id=owner_id)
    form.fields["file"].required = True
    form.is_valid()
    if "file" not in form.cleaned_data:
        return _refused(request, owner_id, {"sentences": form.sentences()})
    if sentence := _save_columns(request, owner_id):
        return _refused(request, owner_id, {"sentences": [sentence]})
    file = form.cleaned_data["file"]
    upload = _upload(request, owner_id, form)
    try:
        sheet, same_names = intake.rehearse(upload)
    except intake.Refused as refused:
        return _refused(request, owner_id, {"refused": refused, "file": file})
    obstacles = intake.obstacles(upload, sheet.summary.images)
    obstacles += [same_names] if same_names else []
    _blame(form, obstacles)
    context = {"file": file, "sheet": sheet, "idempotency_key": uuid4(), **_found(sheet)}
    context["originals"] = report.originals_size(owner_id, sheet.summary.images)
    context |= {"form": form, "obstacles": [one.message for one in obstacles if not one.field]}
    if not intake.is_accepted(sheet, upload.options):
        context["refused"] = intake.invalid(sheet.summary)
        return _refused(request, owner_id, context)
    return _answer(request, owner_id, "web/parts/accepted.html", context)


@require_POST
@personal
def errors_csv(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """All errors of a file as a CSV; stores nothing."""
    form = UploadForm(request.POST, request.FILES, owner_id=owner_id)
    if not form.is_valid():
        return HttpResponseBadRequest("Choose the file again.")
    errors = intake.errors_of(_upload(request, owner_id, form))
    blocks = write_errors([getattr(error, name) for name in ERROR_COLUMNS] for error in errors)
    answer = StreamingHttpResponse(blocks, content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="errors.csv"'
    return answer


def _save_columns(request: WebRequest, owner_id: int) -> str:
    """Save or forget the columns chosen on the page. Returns an error message, or ""."""
    action = request.POST.get("columns")
    form = ColumnsForm(request.POST)
    if action not in ("save", "forget") or not form.is_valid():
        return ""
    header = form.cleaned_data["header"]
    if action == "forget":
        columns.forget(owner_id, header)
        return ""
    try:
        columns.save(owner_id, header, form.choice())
    except ValueError:
        return "Choose the column that holds the image links."
    return ""


@require_POST
@personal
def try_sample(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """Start the sample catalogue, with its originals stored to compare before and after; or say on
    the first page why it cannot start."""
    upload = intake.Upload(
        owner_id=owner_id,
        file=BytesIO(_sample(request)),
        file_name="sample.csv",
        base_url=own_address(request),
        options=intake.Options(store_originals=True),
    )
    if obstacle := sample_obstacle(request):
        messages.error(request, obstacle)
        return redirect("web:home")
    try:
        accepted = intake.accept(upload)
    except intake.Refused as refused:
        messages.error(request, refused.message)
        return redirect("web:home")
    return redirect("web:request", accepted.id)


@require_GET
def sample_csv(request: HttpRequest) -> HttpResponse:
    answer = HttpResponse(_sample(request), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="sample.csv"'
    return answer


def sample_obstacle(request: HttpRequest) -> str:
    """Why the workers may not download the sample's pictures from this service, or ""."""
    address = _sample_address(request)
    if check(address, Policy.from_settings()) is None:
        return ""
    return (
        f"The sample cannot be tried here: the workers may not fetch its pictures from {address}. "
        "OUTBOUND_ALLOW_CIDRS and OUTBOUND_ALLOW_PORTS would have to allow it."
    )


def _start(request: WebRequest, owner_id: int) -> HttpResponseBase:
    form = UploadForm(request.POST, request.FILES, owner_id=owner_id)
    if "file" in form.errors:
        return _refused(request, owner_id, {"sentences": form.sentences()})
    if not form.is_valid():
        return _not_started(request, owner_id, form, "Please check the options marked below.")
    try:
        accepted = intake.accept(_upload(request, owner_id, form))
    except intake.Refused as refused:
        of_file = refused.errors and not refused.field
        if of_file or refused.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            file = form.cleaned_data["file"]
            return _refused(request, owner_id, {"refused": refused, "file": file})
        _blame(form, [refused])
        return _not_started(request, owner_id, form, refused.message)
    where = resolve_url("web:request", accepted.id)
    return HttpResponseClientRedirect(where) if request.htmx else redirect(where)


def _upload(request: WebRequest, owner_id: int, form: UploadForm) -> intake.Upload:
    file = form.cleaned_data["file"]
    return intake.Upload(
        owner_id=owner_id,
        file=file,
        file_name=file.name,
        base_url=own_address(request),
        options=form.options(),
        idempotency_key=form.cleaned_data["idempotency_key"] or None,
    )


def _blame(form: UploadForm, obstacles: list[intake.Refused]) -> None:
    """Show what is wrong with an option at its field."""
    for refused in obstacles:
        if refused.field and refused.field not in form.errors:
            form.add_error(refused.field, refused.message)


def _not_started(
    request: WebRequest, owner_id: int, form: UploadForm, sentence: str
) -> HttpResponseBase:
    """What the file holds stays on the page with its button; the reason stands above it, and the
    options show their errors."""
    context = {"form": form, "start_error": sentence}
    if not request.htmx:
        return _answer(request, owner_id, "", context, status=400)
    answer = render(request, "web/parts/start_error.html", context)
    assert isinstance(answer, HttpResponse)
    return reswap(retarget(answer, "#start-error"), "innerHTML")


def _refused(request: WebRequest, owner_id: int, context: dict[str, Any]) -> HttpResponseBase:
    return _answer(request, owner_id, "web/parts/refused.html", context, status=400)


def _answer(
    request: WebRequest, owner_id: int, part: str, context: dict[str, Any], status: int = 200
) -> HttpResponseBase:
    """The part alone for htmx, always with 200, the only status it shows; else the whole page."""
    if request.htmx:
        return render(request, part, context)
    page = {**_home(request, owner_id), **context, "verdict": part}
    return render(request, "web/home.html", page, status=status)


def _home(request: WebRequest, owner_id: int) -> dict[str, Any]:
    return {
        "form": UploadForm(initial={"preset": "catalog", "priority": "normal"}, owner_id=owner_id),
        "recent": report.request_page(owner_id, limit=RECENT).requests,
        "user_id": owner_id,
        "sample_obstacle": sample_obstacle(request),
        "max_bytes": settings.MAX_UPLOAD_BYTES,
        "paused": Switch.objects.is_paused(Switch.INTAKE),
    }


def _found(sheet: Any) -> dict[str, Any]:
    """What the page shows of a sheet that was read to its end."""
    form = sheet.format
    if form is None:
        seen = sheet.seen_header
        preview = sheet.seen_rows
        roles: dict[int, str] = {}
    else:
        seen, preview = form.header, [row.cells for row in sheet.preview]
        roles = dict.fromkeys(form.images, "images")
        roles |= {
            n: role for n, role in ((form.serial, "serial"), (form.name, "name")) if n is not None
        }
    hosts = sheet.summary.hosts.most_common(TOP_HOSTS)
    listed = sum(images for _, images in hosts)
    return {
        "columns": [
            (
                name,
                roles.get(index, ""),
                [row[index] if index < len(row) else "" for row in preview],
            )
            for index, name in enumerate(seen)
        ],
        "preview_places": range(len(preview)),
        "header_json": json.dumps(list(seen)),
        "to_choose": bool(seen) and (form is None or form.found_by == "content"),
        "notes": intake.notes_on(sheet),
        "hosts": hosts,
        "elsewhere": max(0, sheet.summary.images - listed),
    }


def _sample(request: HttpRequest) -> bytes:
    return sample.sheet(_sample_address(request), _served_name)


def _sample_address(request: HttpRequest) -> str:
    """The address of the sample's pictures."""
    return f"{own_address(request)}{settings.STATIC_URL}sample"


def _served_name(name: str) -> str:
    """Outside of a laptop static files are served with a digest in their names only. One of the
    sample's links leads nowhere on purpose."""
    if not (sample.FOLDER / name).exists():
        return name
    return staticfiles_storage.url(f"sample/{name}").rpartition("/")[2]
