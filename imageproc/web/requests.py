"""The pages of requests: the list, one request live, its pictures and failures, and its actions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from csp.decorators import csp_update
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import trigger_client_event

from imageproc.api.access import refuse_others
from imageproc.models import ImageStatus, ProcessingRequest, ProductImage, RequestStatus
from imageproc.requests import operations, report
from imageproc.web.access import WebRequest, own_request, personal
from imageproc.web.forms import CursorForm, GalleryForm, RetryForm, SearchForm

LIST_SIZE = 20


@require_GET
@personal
def index(request: WebRequest, owner_id: int) -> HttpResponseBase:
    """The requests of a user and their teams, the newest first. htmx gets the table alone."""
    form = SearchForm(request.GET)
    form.is_valid()
    search = form.cleaned_data
    page = report.request_page(
        owner_id,
        before=search.get("before"),
        status=search.get("state") or None,
        name=search.get("q", ""),
        limit=LIST_SIZE,
    )
    context = {
        "form": form,
        "user_id": owner_id,
        "requests": page.requests,
        "filtered": any(search.values()),
        "next": page.next_before,
        "live": any(not row.is_final for row in page.requests),
    }
    return render(request, "web/parts/list.html" if request.htmx else "web/list.html", context)


@require_GET
@personal
def detail(request: WebRequest, owner_id: int, request_id: UUID) -> HttpResponseBase:
    found = own_request(request, owner_id, request_id)
    context = {
        **_progress(found),
        **_outcome(found, owner_id),
        **_webhook(found, owner_id),
        **_gallery(request, found),
    }
    return render(request, "web/request.html", context)


@require_GET
@personal
def progress(request: WebRequest, owner_id: int, request_id: UUID) -> HttpResponseBase:
    """The live part, which the page polls. Events in its response say which other parts have
    changed since it was last shown."""
    found = own_request(request, owner_id, request_id)
    answer = render(request, "web/parts/progress.html", _progress(found))
    assert isinstance(answer, HttpResponse)
    if request.GET.get("outcome") != _outcome_mark(found):
        trigger_client_event(answer, "outcome-changed", after="swap")
    if request.GET.get("done") != str(found.completed_images):
        trigger_client_event(answer, "pictures-changed", after="swap")
    return answer


@require_GET
@personal
def outcome(request: WebRequest, owner_id: int, request_id: UUID) -> HttpResponseBase:
    """The downloads and actions that are possible now, and the failures."""
    found = own_request(request, owner_id, request_id)
    return render(request, "web/parts/outcome.html", _outcome(found, owner_id))


@require_GET
@personal
def failed(request: WebRequest, owner_id: int, request_id: UUID, code: str) -> HttpResponseBase:
    """One page of the images that failed for one reason."""
    found = own_request(request, owner_id, request_id)
    start = _after(request)
    images, after = report.failed_images(found.id, code, after=start)
    context = {"request_row": found, "images": images, "after": after, "code": code}
    context["more"] = start is not None
    return render(request, "web/parts/failed.html", context)


@require_GET
@personal
def gallery(request: WebRequest, owner_id: int, request_id: UUID) -> HttpResponseBase:
    found = own_request(request, owner_id, request_id)
    return render(request, "web/parts/gallery.html", _gallery(request, found))


@require_GET
@personal
def picture(
    request: WebRequest, owner_id: int, request_id: UUID, image_id: UUID
) -> HttpResponseBase:
    """One picture before and after: a dialog for htmx, else a page.

    With ``source`` in the query, "before" is what the image's host has now. The reader's browser
    asks for it, only on this page and only when told to: otherwise no page loads anything from a
    host that a catalogue names.
    """
    found = own_request(request, owner_id, request_id)
    image = _done_image(found, image_id)
    from_source = "source" in request.GET and not request.htmx
    previous, following = report.neighbours(image)
    context = {
        "request_row": found,
        "image": image,
        "previous": previous,
        "following": following,
        "output_url": report.image_url("", image),
        "original_url": report.original_url("", image.id, image.original_key),
        "comparable": from_source or report.original_type(image) is not None,
        "from_source": from_source,
    }
    if not from_source:
        return render(request, _page_or_dialog(request, "picture"), context)

    @csp_update({"img-src": ["https:", "http:"]})  # the host may redirect anywhere
    def page_with_source(request: HttpRequest) -> HttpResponseBase:
        return render(request, "web/picture.html", context)

    return page_with_source(request)


@require_GET
@personal
def webhook(request: WebRequest, owner_id: int, request_id: UUID) -> HttpResponseBase:
    """How the newest webhook and e-mail fare; the page polls it until they have ended."""
    found = own_request(request, owner_id, request_id)
    return render(request, "web/parts/webhook.html", _webhook(found, owner_id))


@require_POST
@personal
def redeliver(
    request: WebRequest, owner_id: int, request_id: UUID, delivery_id: UUID
) -> HttpResponseBase:
    found = own_request(request, owner_id, request_id)
    delivery = get_object_or_404(found.deliveries, id=delivery_id)
    if operations.redeliver(delivery.id):
        messages.success(request, "The webhook is being sent again.")
    else:
        messages.info(request, "The webhook is being sent right now.")
    return redirect("web:request", found.id)


@require_http_methods(["GET", "POST"])
@personal
def cancel(request: WebRequest, owner_id: int, request_id: UUID) -> HttpResponseBase:
    """GET asks for confirmation, POST does it."""
    found = own_request(request, owner_id, request_id)
    if request.method == "GET":
        return render(request, _page_or_dialog(request, "cancel"), {"request_row": found})
    if operations.cancel(found.id):
        messages.success(request, "Cancelled. Finished images are kept.")
    else:
        messages.info(request, "The request had already ended.")
    return redirect("web:request", found.id)


@require_POST
@personal
def continue_(request: WebRequest, owner_id: int, request_id: UUID) -> HttpResponseBase:
    """Continue a cancelled request."""
    found = own_request(request, owner_id, request_id)
    images = operations.continue_cancelled(found.id)
    if images:
        messages.success(request, f"Continuing with {images:,} image{'' if images == 1 else 's'}.")
    elif found.status == RequestStatus.CANCELLED:
        messages.info(request, "Its images are still being cancelled. Try again in a moment.")
    else:
        messages.info(request, "There was nothing to continue.")
    return redirect("web:request", found.id)


@require_http_methods(["GET", "POST"])
@personal
def delete(request: WebRequest, owner_id: int, request_id: UUID) -> HttpResponseBase:
    """GET asks for confirmation, POST does it."""
    found = own_request(request, owner_id, request_id)
    refuse_others(found, owner_id)
    if request.method == "GET":
        return render(request, _page_or_dialog(request, "delete"), {"request_row": found})
    operations.remove(found.id)
    messages.success(request, f"{found.file_name} was deleted.")
    return redirect("web:requests")


@require_POST
@personal
def retry(request: WebRequest, owner_id: int, request_id: UUID) -> HttpResponseBase:
    found = own_request(request, owner_id, request_id)
    form = RetryForm(request.POST)
    form.is_valid()
    chosen = {name: value for name, value in form.cleaned_data.items() if value}
    images = operations.retry(found.id, **chosen)
    if images:
        messages.success(request, f"Retrying {images:,} image{'' if images == 1 else 's'}.")
    else:
        messages.info(request, "There was nothing to retry.")
    return redirect("web:request", found.id)


def _progress(found: ProcessingRequest) -> dict[str, Any]:
    return {
        "request_row": found,
        "report": report.status_of(found),
        "standstill": report.standstill(found),
        "outcome_mark": _outcome_mark(found),
    }


def _outcome_mark(found: ProcessingRequest) -> str:
    """A text that changes whenever the failures or the possible actions change."""
    return f"{found.status}-{found.failed_images}"


def _outcome(found: ProcessingRequest, owner_id: int) -> dict[str, Any]:
    """``foreign``: an operator reads it."""
    foreign = not found.is_shared_with(owner_id)
    return {
        "request_row": found,
        "groups": report.failure_groups(found.id) if found.failed_images else [],
        "foreign": foreign,
        "retryable": found.status != RequestStatus.CANCELLED and not foreign,
        "own": found.owner_id == owner_id,
    }


def _webhook(found: ProcessingRequest, owner_id: int) -> dict[str, Any]:
    hook, mail = report.webhook_of(found), report.mail_of(found)
    asked_for = bool(found.webhook_url or found.notify_email)
    waiting = hook.waiting or (mail is not None and mail.waiting)
    return {
        "request_row": found,
        "hook": hook,
        "mail": mail,
        "may_change": waiting or (asked_for and not found.is_final),
        "foreign": not found.is_shared_with(owner_id),
    }


def _gallery(request: WebRequest, found: ProcessingRequest) -> dict[str, Any]:
    form = GalleryForm(
        request.GET, groups=report.failure_groups(found.id) if found.failed_images else []
    )
    if not form.is_valid():
        raise Http404
    wanted = form.wanted()
    page = report.gallery_page(found, wanted, number=form.cleaned_data["page"] or 1)
    return {
        "request_row": found,
        "page": page,
        "pictures": [(image, report.image_url("", image)) for image in page.images],
        "gallery_form": form,
        "filtered": not wanted.is_default,
        "query": form.query(),
        "growing": not found.is_final and page.number == 1 and wanted.is_default,
    }


def _after(request: WebRequest) -> UUID | None:
    """The cursor of the query; raises Http404 if it is not an id."""
    form = CursorForm(request.GET)
    if not form.is_valid():
        raise Http404
    after: UUID | None = form.cleaned_data["after"]
    return after


def _done_image(found: ProcessingRequest, image_id: UUID) -> ProductImage:
    done = found.images.filter(status=ImageStatus.COMPLETED).select_related("product")
    return get_object_or_404(done, id=image_id)


def _page_or_dialog(request: WebRequest, name: str) -> str:
    return f"web/parts/{name}.html" if request.htmx else f"web/{name}.html"
