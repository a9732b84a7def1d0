"""E-mail at the end of a request, through a real mail server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.utils import timezone
from django.utils.module_loading import import_string
from django_q.models import OrmQ
from pytest_django import Settings

from imageproc.faults import DELIVERY_DIED, NOT_FOUND
from imageproc.images.claim import claim
from imageproc.images.outcome import Failed
from imageproc.images.record import record
from imageproc.images.sweep import put_back_control_tasks
from imageproc.models import ApiKey, MailDelivery, ProcessingRequest
from imageproc.requests import mail, operations
from tests.support import build

pytestmark = pytest.mark.django_db
OLGA = "olga@shop.example"


class Mailbox:
    """Keeps what it accepts. ``answers``: its next answers to a recipient and to a message; then
    it accepts."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipient: list[str] = []
        self.message: list[str] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, to: str, _: Any) -> str:  # noqa: N802
        if self.recipient:
            return self.recipient.pop(0)
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.message:
            return self.message.pop(0)
        self.mails.append(BytesParser(EmailMessage, policy=default).parsebytes(envelope.content))
        return "250 OK"


@pytest.fixture
def mailbox(settings: Settings) -> Iterator[Mailbox]:
    kept = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Controller(kept, hostname="127.0.0.1", port=port)
    server.start()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.DEFAULT_FROM_EMAIL = "Images <images@shop.example>"
    yield kept
    server.stop()


def owed(**fields: Any) -> MailDelivery:
    """The e-mail of a request that was cancelled with one of its three images completed and one
    failed."""
    request = build.request(3, notify_email=OLGA, **fields)
    first, second, _ = claim()
    record([build.done(first), Failed(second, NOT_FOUND)])
    operations.cancel(request.id)
    return MailDelivery.objects.get(request=request)


def try_now(one: MailDelivery) -> bool:
    """One attempt, as if the wait before it were over."""
    MailDelivery.objects.filter(id=one.id).update(next_attempt_at=timezone.now())
    sent = mail.send(one.id)
    one.refresh_from_db()
    return sent


def test_the_e_mail_of_an_end(mailbox: Mailbox) -> None:
    one = owed()
    assert mail.send(one.id)
    assert not mail.send(one.id)  # once for each end
    (seen,) = mailbox.mails
    stem = f"http://testserver/requests/{one.request_id}"
    assert seen["To"] == OLGA
    assert seen["From"] == "Images <images@shop.example>"
    assert seen["Subject"] == "products.csv was cancelled: 1 image ready, 1 failed"
    assert seen["Message-ID"] == f"<{one.id.hex}@shop.example>"
    assert seen["Auto-Submitted"] == "auto-generated"
    lines = seen.get_content().splitlines()
    assert lines[0] == "products.csv was cancelled."
    assert "1 of 3 images ready." in lines
    assert lines[lines.index("1 image failed:") + 1] == f"  1 × {NOT_FOUND.message}"
    assert f"{stem}/" in lines
    assert f"http://testserver/api/requests/{one.request_id}/output.csv" in lines
    one.refresh_from_db()
    assert (one.status, one.attempts) == ("DELIVERED", 1)


def test_another_end_is_another_e_mail(mailbox: Mailbox) -> None:
    first = owed()
    assert operations.continue_cancelled(first.request_id) == 0  # its images are still open
    ProcessingRequest.objects.filter(id=first.request_id).update(
        status="PROCESSING", completed_at=None
    )
    operations.cancel(first.request_id)
    ids = list(MailDelivery.objects.order_by("id").values_list("id", flat=True))
    assert [mail.send(one) for one in ids] == [True, True]
    assert len({seen["Message-ID"] for seen in mailbox.mails}) == 2


# What the server answers: to recipients, to messages → the states after the attempts.
@pytest.mark.parametrize(
    ("recipient", "message", "states", "error"),
    [
        (["451 Try later"], [], ["PENDING", "DELIVERED"], "refused the address: 451 Try later"),
        (["550 No such user"], [], ["FAILED"], "refused the address: 550 No such user"),
        ([], ["452 Disk full"], ["PENDING", "DELIVERED"], "452"),
        ([], ["554 Looks like spam"], ["FAILED"], "554"),
    ],
)
def test_what_the_mail_server_answers(
    mailbox: Mailbox, recipient: list[str], message: list[str], states: list[str], error: str
) -> None:
    one = owed()
    mailbox.recipient, mailbox.message = recipient, message
    seen = []
    for _ in states:
        try_now(one)
        seen.append(one.status)
    assert seen == states
    assert error in one.error
    assert len(mailbox.mails) == states.count("DELIVERED")


def test_while_the_server_is_down_one_e_mail_asks_for_all(settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    first, second = owed(), owed()
    assert not mail.send(first.id)
    assert not mail.send(second.id)
    second.refresh_from_db()
    assert (second.status, second.attempts) == ("PENDING", 0)
    first.refresh_from_db()
    assert (first.error, first.attempts) == ("The mail server does not answer.", 1)


def test_one_whose_sender_died_is_sent_again_and_at_last_given_up(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = owed()

    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("imageproc.requests.mail._hand_over", die)
        with pytest.raises(Killed):
            mail.send(one.id)
    assert not mail.send(one.id)  # its lease still runs
    past = timezone.now() - timedelta(seconds=1)
    MailDelivery.objects.update(lease_until=past)
    OrmQ.objects.all().delete()
    assert put_back_control_tasks() >= 1
    tasks = [row.task for row in OrmQ.objects.all()]
    (task,) = [task for task in tasks if task["args"] == (str(one.id),)]
    assert import_string(task["func"])(*task["args"])
    MailDelivery.objects.update(status="PENDING", attempts=10)
    assert not try_now(one)
    assert (one.status, one.error) == ("FAILED", DELIVERY_DIED.sentence)
    assert operations.resend(one.id)
    assert mail.send(one.id)


def test_no_header_is_injected(mailbox: Mailbox) -> None:
    one = owed(file_name="a.csv\r\nBcc: all@shop.example\u202e\x07 b")
    assert mail.send(one.id)
    assert mailbox.mails[0]["Bcc"] is None
    assert mailbox.mails[0]["Subject"].startswith("a.csv Bcc: all@shop.example b was cancelled")


def test_the_row_comes_with_the_end_and_goes_with_the_request() -> None:
    request = build.request(1, notify_email=OLGA)
    with transaction.atomic():
        operations.cancel(request.id)
        transaction.set_rollback(True)
    assert not MailDelivery.objects.exists()
    operations.remove(request.id)
    request.refresh_from_db()
    assert request.notify_email == ""
    assert not MailDelivery.objects.exists()  # nobody is told of what they removed


CSV = b"S. No.,Product Name,Input Image Urls\n1,Shoe,http://8.8.8.8/1.jpg\n"
# settings, the address, the answer's code or "" where it is accepted
ADDRESSES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "Olga@shop.example", ""),
    ({}, "other@shop.example", "email_refused"),
    ({"EMAIL_ALLOW_DOMAINS": ["Shop.example"]}, "other@shop.example", ""),
    ({"EMAIL_ALLOW_DOMAINS": ["shop.example"]}, "other@evil-shop.example", "email_refused"),
    ({"EMAIL_ENABLED": False}, OLGA, "email_not_set_up"),
    ({"API_ANONYMOUS": True}, "anyone@example.org", ""),
    ({}, "olga", "invalid_fields"),
    ({}, f"{OLGA},other@shop.example", "invalid_fields"),
    ({}, f"{OLGA}\nBcc: other@shop.example", "invalid_fields"),
    ({}, f"{'o' * 250}@shop.example", "invalid_fields"),
]


@pytest.mark.parametrize(("changed", "address", "code"), ADDRESSES)
def test_who_may_have_mail_sent_where(
    settings: Settings, changed: dict[str, Any], address: str, code: str
) -> None:
    settings.API_ANONYMOUS = False
    for name, value in changed.items():
        setattr(settings, name, value)
    owner = User.objects.create_user("olga", email=OLGA)
    _, key = ApiKey.objects.issue(owner_id=owner.pk, name="shop")
    answer = Client().post(
        "/api/upload",
        {"file": SimpleUploadedFile("a.csv", CSV), "notifyEmail": address},
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == (400 if code else 202), answer.content
    assert answer.json().get("code", "") == code
    kept = [address] if not code else []
    assert list(ProcessingRequest.objects.values_list("notify_email", flat=True)) == kept


def test_the_pages_offer_it_and_say_how_it_went(
    client: Client, mailbox: Mailbox, settings: Settings
) -> None:
    settings.API_ANONYMOUS = False
    owner = build.owner("olga")
    User.objects.filter(pk=owner.pk).update(email=OLGA)
    client.force_login(owner)
    assert f"You can use {OLGA}." in client.get("/").content.decode()
    refused = client.post(
        "/", {"file": SimpleUploadedFile("a.csv", CSV), "notify_email": "x@evil.example"}
    )
    assert "No e-mail may be sent to this address." in refused.content.decode()
    one = owed(owner=owner)

    def page() -> str:
        return client.get(f"/requests/{one.request_id}/webhook/").content.decode()

    assert f"An e-mail to {OLGA} is being sent." in page()
    mailbox.recipient = ["550 No such user"]
    try_now(one)
    assert "550 No such user" in page()
    operations.resend(one.id)
    try_now(one)
    assert f"An e-mail was sent to {OLGA}." in page()
    settings.EMAIL_ENABLED = False
    assert "E-mail when it ends" not in client.get("/").content.decode()
