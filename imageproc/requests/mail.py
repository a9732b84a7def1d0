"""E-mail at the end of a request, for owners who asked for it with the upload.

The transaction that ends the request writes the e-mail's row, and each attempt is counted there
before it is made. A mail server that is down is tried again for three days. A worker that dies
between the server's "accepted" and the record of it sends the same e-mail twice, with the same
Message-ID.
"""

from __future__ import annotations

import logging
import unicodedata
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused
from uuid import UUID, uuid4

from django.conf import settings
from django.core.mail import EmailMessage

from imageproc.faults import DELIVERY_DIED
from imageproc.models import MailDelivery, ProcessingRequest, RequestStatus
from imageproc.requests import report
from imageproc.requests.schedule import SCHEDULE, wait_after
from imageproc.workers import queue

log = logging.getLogger(__name__)
# One attempt is a dozen commands, each with EMAIL_TIMEOUT.
COMMANDS = 12
PERMANENT = 500
SHOWN_NAME = 80
ENDS = {
    RequestStatus.COMPLETED: "is done",
    RequestStatus.FAILED: "has failed",
    RequestStatus.CANCELLED: "was cancelled",
}


def announce(request: ProcessingRequest) -> None:
    """Create the e-mail for a request that has just ended, if its owner asked for one."""
    if not request.notify_email:
        return
    mail = MailDelivery.objects.create(
        request=request,
        event=f"request.{request.status.lower()}",
        address=request.notify_email,
        subject=_subject(request),
        body=_body(request),
    )
    queue.enqueue_mail(mail.id)


def send(mail_id: UUID) -> bool:
    """Make one attempt if one is due. Returns whether the mail server accepted it."""
    lease_id = uuid4()
    lease_seconds = round(COMMANDS * settings.EMAIL_TIMEOUT)
    if not MailDelivery.objects.lease(mail_id, lease_id, lease_seconds):
        return False
    mail = MailDelivery.objects.get(id=mail_id)
    if mail.attempts > len(SCHEDULE) + 1:
        MailDelivery.objects.failed(mail.id, lease_id, error=DELIVERY_DIED.sentence)
        return False
    try:
        _hand_over(mail)
    except (OSError, SMTPException) as error:
        _settle_failure(mail, lease_id, error)
        return False
    return MailDelivery.objects.delivered(mail.id, lease_id)


def _hand_over(mail: MailDelivery) -> None:
    """Raises OSError or SMTPException."""
    sender = settings.DEFAULT_FROM_EMAIL
    headers = {
        "Message-ID": f"<{mail.id.hex}@{sender.rpartition('@')[2].strip('>')}>",
        "Auto-Submitted": "auto-generated",  # RFC 3834, 5: no holiday message answers it
    }
    EmailMessage(mail.subject, mail.body, sender, [mail.address], headers=headers).send()


def _settle_failure(mail: MailDelivery, lease_id: UUID, error: Exception) -> None:
    log.warning("an e-mail was not accepted: %s", error, extra={"mail": str(mail.id)})
    if _is_final(error) or mail.attempts > len(SCHEDULE):
        MailDelivery.objects.failed(mail.id, lease_id, error=_sentence(error))
        return
    wait = wait_after(mail.attempts)
    MailDelivery.objects.postpone(mail.id, lease_id, wait, error=_sentence(error))
    if isinstance(error, OSError) and not isinstance(error, SMTPException):
        MailDelivery.objects.hold_back(wait)


def _is_final(error: Exception) -> bool:
    """Whether the server refused this recipient or this text for good (RFC 5321, 4.2.1). A refused
    sender or password is the operator's to mend, and is tried again."""
    if isinstance(error, SMTPRecipientsRefused):
        return all(code >= PERMANENT for code, _ in error.recipients.values())
    return isinstance(error, SMTPDataError) and error.smtp_code >= PERMANENT


def _sentence(error: Exception) -> str:
    if isinstance(error, SMTPRecipientsRefused):
        code, answer = next(iter(error.recipients.values()))
        text = f"The mail server refused the address: {code} {_text(answer)}"
    elif isinstance(error, SMTPException):
        text = f"The mail server refused the message: {error}"
    else:
        text = "The mail server does not answer."
    return text[:500]


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def _subject(request: ProcessingRequest) -> str:
    images = _images(request.completed_images)
    failed = f", {request.failed_images:,} failed" if request.failed_images else ""
    ends = ENDS[RequestStatus(request.status)]
    return f"{_shown(request.file_name)} {ends}: {images} ready{failed}"


def _shown(file_name: str) -> str:
    """A name that anybody may have chosen: on one line, without characters that hide or turn
    text."""
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in file_name)
    name = " ".join(visible.split())
    return name if len(name) <= SHOWN_NAME else f"{name[: SHOWN_NAME - 1]}…"


def _body(request: ProcessingRequest) -> str:
    page = f"{request.base_url}/requests/{request.id}/"
    links = report.links_of(request)
    output = links.get("outputXlsx") or links["outputCsv"]
    lines = [
        f"{_shown(request.file_name)} {ENDS[RequestStatus(request.status)]}.",
        "",
        *_counts(request),
        "",
        f"Progress, failures and pictures:\n{page}",
        "",
        f"Your file with the results:\n{output}",
        "",
        "You get this e-mail because it was asked for with the upload.",
    ]
    return "\n".join(lines)


def _counts(request: ProcessingRequest) -> list[str]:
    total, failed = request.total_images, request.failed_images
    lines = [f"{request.completed_images:,} of {_images(total)} ready."]
    if failed:
        lines.append(f"{_images(failed)} failed:")
        reasons = report.status_of(request).reasons[:3]
        lines += [f"  {reason.images:,} × {reason.message}" for reason in reasons]
    if request.unchanged_images:
        lines.append(f"{_images(request.unchanged_images)} unchanged since last time.")
    if request.cancelled_images:
        lines.append(f"{_images(request.cancelled_images)} cancelled.")
    if request.bad_rows:
        rows = "1 row was" if request.bad_rows == 1 else f"{request.bad_rows:,} rows were"
        lines.append(f"{rows} left out of the upload.")
    if request.error_message:
        lines.append(request.error_message)
    return lines


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"
