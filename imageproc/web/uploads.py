"""The first page: drop a CSV, see what it holds, start."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRedirect

from imageproc import intake
from imageproc.api.access import own_address
from imageproc.images.fetch import Policy, check
from imageproc.models import ProcessingRequest
from imageproc.web import sample
from imageproc.web.access import WebRequest, personal
from imageproc.web.forms import UploadForm

RECENT = 5
TOP_HOSTS = 6


@require_http_methods(["GET", "POST"])
@personal
def home(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """GET the page; POST starts a request and leads to it."""
    if request.method == "POST":
        return _start(request, owner_id)
    return render(request, "web/home.html", _home(request, owner_id))


@require_POST
@personal
def inspect(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """The dry run: what the file holds or what is wrong with it; nothing is stored."""
    form = UploadForm(request.POST, request.FILES)
    form.fields["file"].required = True
    form.is_valid()
    if "file" not in form.cleaned_data:
        return _refused(request, owner_id, {"sentences": form.sentences()})
    file = form.cleaned_data["file"]
    try:
        sheet = intake.inspect(_upload(request, owner_id, form))
    except intake.Refused as refused:
        return _refused(request, owner_id, {"refused": refused, "file": file})
    context = {"file": file, "sheet": sheet, "idempotency_key": uuid4(), **_found(sheet)}
    return _answer(request, owner_id, "web/parts/accepted.html", context)


@require_POST
@personal
def try_sample(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """Start the sample catalogue, with the originals kept so that there is something to compare."""
    if not sample_works(request):
        raise Http404
    options = intake.Options(store_originals=True)
    accepted = intake.accept(
        intake.Upload(
            owner_id=owner_id,
            file=BytesIO(sample.sheet(_sample_address(request))),
            file_name="sample.csv",
            base_url=own_address(request),
            options=options,
        )
    )
    return redirect("web:request", accepted.id)


@require_GET
def sample_csv(request: HttpRequest) -> HttpResponse:
    answer = HttpResponse(
        sample.sheet(_sample_address(request)), content_type="text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = 'attachment; filename="sample.csv"'
    return answer


def sample_works(request: HttpRequest) -> bool:
    """Whether the workers may ask this service for the sample's pictures."""
    return check(_sample_address(request), Policy.from_settings()) is None


def _start(request: WebRequest, owner_id: int) -> HttpResponseBase:
    form = UploadForm(request.POST, request.FILES)
    if not form.is_valid():
        return _refused(request, owner_id, {"sentences": form.sentences()})
    try:
        accepted = intake.accept(_upload(request, owner_id, form))
    except intake.Refused as refused:
        file = form.cleaned_data["file"]
        return _refused(request, owner_id, {"refused": refused, "file": file})
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


def _refused(request: WebRequest, owner_id: int, context: dict[str, Any]) -> HttpResponseBase:
    return _answer(request, owner_id, "web/parts/refused.html", context, status=400)


def _answer(
    request: WebRequest, owner_id: int, part: str, context: dict[str, Any], status: int = 200
) -> HttpResponseBase:
    """The part alone for htmx (which shows what came with 200 only), else within the page."""
    if request.htmx:
        return render(request, part, context)
    page = {**_home(request, owner_id), **context, "verdict": part}
    return render(request, "web/home.html", page, status=status)


def _home(request: WebRequest, owner_id: int) -> dict[str, Any]:
    return {
        "form": UploadForm(initial={"preset": "catalog", "priority": "normal"}),
        "recent": ProcessingRequest.objects.owned_by(owner_id).order_by("-id")[:RECENT],
        "sample_works": sample_works(request),
        "max_bytes": settings.MAX_UPLOAD_BYTES,
    }


def _found(sheet: Any) -> dict[str, Any]:
    """What the page tells of a sheet that was read to its end."""
    roles = {sheet.format.serial: "S. No.", sheet.format.name: "Product Name"}
    roles[sheet.format.urls] = "Input Image Urls"
    hosts = sheet.summary.hosts.most_common(TOP_HOSTS)
    listed = sum(images for _, images in hosts)
    return {
        "columns": [(name, roles.get(index)) for index, name in enumerate(sheet.format.header)],
        "hosts": hosts,
        "elsewhere": sheet.summary.images - listed,
    }


def _sample_address(request: HttpRequest) -> str:
    """Where the workers find the sample's pictures."""
    return f"{own_address(request)}{settings.STATIC_URL}sample"
