"""Builds the JSON of responses from rows: one function for each shape of ``shapes``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from imageproc import intake, sheet
from imageproc.api import shapes
from imageproc.faults import by_code
from imageproc.models import (
    DeliveryStatus,
    ProcessingRequest,
    WebhookAttempt,
    WebhookDelivery,
    WebhookSecret,
)
from imageproc.models.image import compression_ratio
from imageproc.requests import report
from imageproc.requests.report.status import StatusReport, state_of

# Hosts listed in the answer to a dry run.
HOSTS = 100


def accepted(request: ProcessingRequest) -> shapes.Accepted:
    """The request as it was when it was accepted, so that a repeated upload with the same
    Idempotency-Key gets the same answer to the byte."""
    answer: shapes.Accepted = {
        "requestId": str(request.id),
        "status": "PENDING",
        "message": f"Accepted: {_count(request.total_images, 'image')} of "
        f"{_count(request.total_products, 'product')}.",
        "totalProducts": request.total_products,
        "totalImages": request.total_images,
        "links": report.links_of(request),
    }
    if request.notes:
        answer["notes"] = request.notes
    if request.bad_rows:
        answer["skippedRows"] = request.bad_rows
    if request.imageless_rows:
        answer["rowsWithoutImage"] = request.imageless_rows
    return answer


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def errors_csv(errors: Iterable[sheet.LineError]) -> Iterator[bytes]:
    return sheet.write_errors(
        [getattr(error, name) for name in sheet.ERROR_COLUMNS] for error in errors
    )


def rehearsal(
    checked: sheet.Sheet, options: intake.Options, blocked: list[intake.Refused]
) -> shapes.Rehearsal:
    found = checked.summary
    hosts = found.hosts.most_common(HOSTS)
    errors = found.errors[: intake.SHOWN_ERRORS]
    answer: shapes.Rehearsal = {
        "dryRun": True,
        "valid": intake.is_accepted(checked, options),
        "totalProducts": found.rows,
        "totalImages": found.images,
        "hosts": [{"host": host, "images": images} for host, images in hosts],
        "otherHostsImages": max(0, found.images - sum(images for _, images in hosts)),
        "duplicateUrls": found.duplicate_urls,
        "errors": [cast("shapes.LineError", error._asdict()) for error in errors],
        "errorCount": found.error_count,
        "errorKinds": cast("list[shapes.ErrorKind]", intake.kinds_of(found)),
        "badRows": found.bad_rows,
        "rowsWithoutImage": found.imageless_rows,
        "encoding": checked.format.encoding if checked.format else None,
        "columns": columns(checked.format) if checked.format else None,
        "rows": [
            {
                "line": row.line,
                "serialNumber": row.serial_number,
                "productName": row.product_name,
                "imageUrls": list(row.urls),
            }
            for row in checked.preview
        ],
        "notes": intake.notes_on(checked),
    }
    if blocked:
        answer["blockedBy"] = [{"code": one.code, "message": one.message} for one in blocked]
    return answer


def columns(form: sheet.SheetFormat) -> shapes.Columns:
    header = form.header
    return {
        "images": [header[index] for index in form.images],
        "serial": None if form.serial is None else header[form.serial],
        "name": None if form.name is None else header[form.name],
        "foundBy": cast("Any", form.found_by),
        "profile": form.profile or None,
    }


def summary(request: ProcessingRequest) -> shapes.Summary:
    progress = report.progress_of(request)
    answer: shapes.Summary = {
        "requestId": str(request.id),
        "status": cast("shapes.RequestState", request.status),
        "fileName": request.file_name,
        "message": request.error_message,
        "priority": cast("Any", request.priority),
        "progress": progress.percent,
        "totalProducts": request.total_products,
        "totalImages": request.total_images,
        "processedImages": request.processed_images,
        "completedImages": request.completed_images,
        "failedImages": request.failed_images,
        "cancelledImages": request.cancelled_images,
        "bytesIn": request.bytes_in,
        "bytesOut": request.bytes_out,
        "bytesSaved": request.bytes_in - request.bytes_out,
        "newImages": request.new_images,
        "changedImages": request.changed_images,
        "unchangedImages": request.unchanged_images,
        "imagesPerSecond": progress.images_per_second,
        "etaSeconds": progress.eta_seconds,
        "createdAt": request.created_at,
        "startedAt": request.started_at,
        "completedAt": request.completed_at,
        "links": report.links_of(request),
    }
    if request.bad_rows:
        answer["skippedRows"] = request.bad_rows
    if request.imageless_rows:
        answer["rowsWithoutImage"] = request.imageless_rows
    return answer


def status(
    state: StatusReport, page: report.ProductPage, deliveries: list[WebhookDelivery]
) -> shapes.Status:
    request = state.request
    answer: shapes.Status = {
        **summary(request),  # type: ignore[typeddict-item]  # "hosts" comes below
        "etaSeconds": state.eta_seconds,
        "errors": [
            {
                "code": reason.code,
                "message": reason.message,
                "remedy": reason.remedy,
                "images": reason.images,
            }
            for reason in state.reasons
        ],
        "webhook": webhook(request, deliveries) if request.webhook_url else None,
        "products": products(page, request),
        "nextCursor": None if page.next_after is None else str(page.next_after),
    }
    if state.hosts:
        answer["hosts"] = [
            {
                "host": wait.host,
                "images": wait.images,
                "requestsPerSecond": wait.pace,
                "closedUntil": wait.until,
                "reason": wait.reason,
            }
            for wait in state.hosts
        ]
    return answer


def products(page: report.ProductPage, request: ProcessingRequest) -> list[shapes.Product]:
    address = report.image_addresses(request.base_url)
    return [product(listed, request, address) for listed in page.products]


def product(
    listed: report.Listed, request: ProcessingRequest, address: report.Address
) -> shapes.Product:
    images = [image_entry(image, request, address) for image in listed.images]
    return {
        "serialNumber": listed.serial_number,
        "productName": listed.product_name,
        "status": cast("shapes.ProductState", _state(images)),
        "inputImageUrls": [image["inputUrl"] for image in images],
        "outputImageUrls": [image["outputUrl"] for image in images],
        "images": images,
    }


def _state(images: list[shapes.Image]) -> str:
    return state_of({image["status"] for image in images}) if images else report.NO_IMAGE


def image_entry(
    image: report.ListedImage, request: ProcessingRequest, address: report.Address
) -> shapes.Image:
    return {
        "imageId": str(image.id),
        "status": cast("shapes.RequestState", image.status),
        "inputUrl": image.input_url,
        "outputUrl": report.output_url(image, address),
        "originalUrl": report.original_url(request.base_url, image.id, image.original_key),
        "attempts": image.attempts,
        "inputSize": image.input_size,
        "outputSize": image.output_size,
        "compressionRatio": compression_ratio(image.input_size, image.output_size),
        "width": image.width,
        "height": image.height,
        "contentType": image.content_type or None,
        "sha256": image.output_sha256 or None,
        "change": cast("Any", image.change or None),
        "error": _failure(image.error_code),
    }


def webhook(request: ProcessingRequest, deliveries: list[WebhookDelivery]) -> shapes.Webhook:
    return {"url": request.webhook_url, "deliveries": [delivery(one) for one in deliveries]}


def delivery(sent: WebhookDelivery) -> shapes.Delivery:
    return {
        "deliveryId": str(sent.id),
        "webhookId": sent.message_id,
        "event": cast("Any", sent.event),
        "status": cast("shapes.DeliveryState", sent.status),
        "createdAt": sent.created_at,
        "nextAttemptAt": (
            sent.next_attempt_at if sent.status == DeliveryStatus.PENDING.value else None
        ),
        "attempts": [attempt(one) for one in sent.log.all()],
    }


def attempt(made: WebhookAttempt) -> shapes.Attempt:
    return {
        "number": made.number,
        "startedAt": made.started_at,
        "statusCode": made.status_code,
        "milliseconds": made.milliseconds,
        "error": made.error_message or None,
        "answer": made.answer,
    }


def secret(rows: list[WebhookSecret]) -> shapes.Secret:
    """``rows``: the usable secrets, the newest first."""
    newest, *older = rows
    return {
        "secret": newest.secret,
        "createdAt": newest.created_at,
        "previousExpiresAt": older[0].expires_at if older else None,
    }


def _failure(code: str) -> shapes.Failure | None:
    if not code:
        return None
    fault = by_code(code)
    return {"code": fault.code, "message": fault.message, "remedy": fault.remedy}
