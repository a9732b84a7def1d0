"""Webhooks by Standard Webhooks 1.0 (https://www.standardwebhooks.com).

The transaction that ends a request writes the delivery's row. Each attempt is recorded before it is
made. A receiver that is down is tried again for three days.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from imageproc.faults import DELIVERY_DIED, Fault
from imageproc.images import fetch as outbound
from imageproc.metrics import WEBHOOK_ATTEMPTS
from imageproc.models import (
    ProcessingRequest,
    WebhookAttempt,
    WebhookDelivery,
    WebhookSecret,
)
from imageproc.requests import report
from imageproc.requests.schedule import SCHEDULE, wait_after
from imageproc.workers import queue

log = logging.getLogger(__name__)
# Seconds for one attempt, from the name look-up to the answer; WEBHOOK_TIMEOUT changes it.
TIMEOUT = 15.0
PRODUCTS_UP_TO = 100
MAX_BODY_BYTES = 20_000
GONE = 410


def announce(request: ProcessingRequest) -> None:
    """Create the delivery for a request that has just ended, if its owner wants a webhook."""
    if not request.webhook_url:
        return
    event = f"request.{request.status.lower()}"
    delivery = WebhookDelivery.objects.create(
        request=request, event=event, url=request.webhook_url, body=_body(event, request)
    )
    queue.enqueue_delivery(delivery.id)


def deliver(delivery_id: UUID) -> bool:
    """Make one attempt if one is due. Returns whether the receiver accepted it."""
    lease_id = uuid4()
    with transaction.atomic():
        if not WebhookDelivery.objects.lease(delivery_id, lease_id, _lease_seconds()):
            return False
        delivery = WebhookDelivery.objects.select_related("request").get(id=delivery_id)
        if delivery.attempts > len(_schedule()) + 1:
            return _give_up(delivery, lease_id)
        number = delivery.log.count() + 1
        attempt = WebhookAttempt.objects.create(delivery=delivery, number=number)
    answer = outbound.post(
        delivery.url,
        delivery.body.encode(),
        _headers(delivery),
        _timeout(),
        outbound.Policy.from_settings(),
    )
    return _settle(delivery, lease_id, attempt, answer)


def _give_up(delivery: WebhookDelivery, lease_id: UUID) -> bool:
    """Fail a delivery that has had more attempts than the schedule: the last ones killed their
    worker before their outcome was recorded."""
    log.error("the webhook is not tried again", extra={"delivery": str(delivery.id)})
    reason = {"error_code": DELIVERY_DIED.code, "error_message": DELIVERY_DIED.sentence}
    delivery.log.filter(milliseconds=None).update(**reason)
    WebhookDelivery.objects.failed(delivery.id, lease_id)
    return False


def _timeout() -> float:
    return settings.WEBHOOK_TIMEOUT or TIMEOUT


def _schedule() -> Sequence[float]:
    """WEBHOOK_SCHEDULE changes it."""
    return settings.WEBHOOK_SCHEDULE or SCHEDULE


def _lease_seconds() -> int:
    """Longer than an attempt can last. After a kill, the next sender waits until the lease ends."""
    return round(_timeout()) + 10


def _settle(
    delivery: WebhookDelivery,
    lease_id: UUID,
    attempt: WebhookAttempt,
    answer: outbound.Answer | Fault,
) -> bool:
    """Record the outcome of an attempt and the delivery's new state, in one transaction."""
    with transaction.atomic():
        _note(attempt, answer)
        if isinstance(answer, outbound.Answer) and 200 <= answer.status < 300:
            return WebhookDelivery.objects.delivered(delivery.id, lease_id)
        gone = isinstance(answer, outbound.Answer) and answer.status == GONE
        if gone or delivery.attempts > len(_schedule()):
            WebhookDelivery.objects.failed(delivery.id, lease_id)
        else:
            wait = wait_after(delivery.attempts, _schedule(), answer.retry_after or 0.0)
            WebhookDelivery.objects.postpone(delivery.id, lease_id, wait)
    return False


def _note(attempt: WebhookAttempt, answer: outbound.Answer | Fault) -> None:
    outcome = answer.code if isinstance(answer, Fault) else f"http_{answer.status}"
    WEBHOOK_ATTEMPTS.labels(outcome).inc()
    ms = (timezone.now() - attempt.started_at).total_seconds() * 1000
    facts: dict[str, Any] = {"milliseconds": max(0, round(ms))}
    if isinstance(answer, Fault):
        facts |= {"error_code": answer.code, "error_message": answer.sentence}
    else:
        text = answer.body.decode("utf-8", "replace").replace("\0", "")
        facts |= {"status_code": answer.status, "answer": text[:1000]}
    WebhookAttempt.objects.filter(id=attempt.pk).update(**facts)


def _headers(delivery: WebhookDelivery) -> dict[str, str]:
    """The headers of one attempt, signed with every usable secret, the newest first (Standard
    Webhooks, "signature"). The timestamp is that of this attempt, because receivers refuse one that
    is more than five minutes old."""
    now = datetime.fromtimestamp(int(time.time()), UTC)
    owner_id = delivery.request.owner_id
    WebhookSecret.objects.current(owner_id)
    message = delivery.message_id
    signatures = [
        Webhook(row.secret).sign(message, now, delivery.body)
        for row in WebhookSecret.objects.usable(owner_id)
    ]
    return {
        "Content-Type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _body(event: str, request: ProcessingRequest) -> str:
    """The message as JSON. Products are left out if there are more than PRODUCTS_UP_TO images or
    the text would be longer than MAX_BODY_BYTES."""
    links = report.links_of(request)
    data: dict[str, Any] = {
        "requestId": str(request.id),
        "status": request.status,
        "totalImages": request.total_images,
        "processedImages": request.processed_images,
        "failedImages": request.failed_images,
        "outputCsvUrl": links["outputCsv"],
        "statusUrl": links["status"],
    }
    if "outputXlsx" in links:
        data["outputXlsxUrl"] = links["outputXlsx"]
    if request.changed_images or request.unchanged_images:
        data["newImages"] = request.new_images
        data["changedImages"] = request.changed_images
        data["unchangedImages"] = request.unchanged_images
    if request.bad_rows:
        data["skippedRows"] = request.bad_rows
    if request.imageless_rows:
        data["rowsWithoutImage"] = request.imageless_rows
    message = {"type": event, "timestamp": timezone.now().isoformat(), "data": data}
    if max(request.total_images, request.total_products) <= PRODUCTS_UP_TO:
        whole = json.dumps({**message, "data": {**data, "products": _products(request)}})
        if len(whole.encode()) <= MAX_BODY_BYTES:
            return whole
    return json.dumps(message)


def _products(request: ProcessingRequest) -> list[dict[str, Any]]:
    page = report.product_page(request.id, limit=PRODUCTS_UP_TO)
    address = report.image_addresses(request.base_url)
    return [
        {
            "serialNumber": serial_number,
            "productName": product_name,
            "inputImageUrls": [image.input_url for image in images],
            "outputImageUrls": [report.output_url(image, address) for image in images],
        }
        for serial_number, product_name, images in page.products
    ]
