"""What stands in the way of an upload, whatever its file holds."""

from __future__ import annotations

from django.conf import settings

from imageproc.images.fetch import Policy, check
from imageproc.intake import notify, teams
from imageproc.intake.options import Options, Upload
from imageproc.intake.refused import RETRY_SECONDS, Refused
from imageproc.models import ProcessingRequest, Switch


def obstacles(upload: Upload, images: int = 1) -> list[Refused]:
    """Why an upload of ``images`` images would be refused now, whatever its file holds: its
    webhook's address, that for the e-mail, its team, a pause, the quota."""
    found = (
        _bad_webhook(upload.options),
        _bad_address(upload.owner_id, upload.options),
        _bad_team(upload.owner_id, upload.options),
        _pause(),
        over_quota(upload.owner_id, images),
    )
    return [refused for refused in found if refused]


def _pause() -> Refused | None:
    if not Switch.objects.is_paused(Switch.INTAKE):
        return None
    return Refused(
        503,
        "intake_paused",
        "Uploads are paused by the operator. Try again later.",
        retry_after=RETRY_SECONDS,
    )


def over_quota(owner_id: int, images: int) -> Refused | None:
    """Refused where ``images`` more are more than an owner may have in hand. A request that
    is larger than the quota by itself is taken when nothing else is in hand."""
    requests, pending = ProcessingRequest.objects.in_hand(owner_id)
    most = settings.MAX_PENDING_IMAGES
    if 0 < settings.MAX_OPEN_REQUESTS <= requests:
        open_ones = "1 open request" if requests == 1 else f"{requests} open requests"
        limit = f"You have {open_ones}, which is the limit."
    elif most and pending and pending + images > most:
        limit = f"You have {pending:,} images waiting; the limit is {most:,}."
    else:
        return None
    sentence = f"{limit} Try again when some have finished."
    return Refused(429, "quota_exceeded", sentence, retry_after=RETRY_SECONDS)


def _bad_webhook(options: Options) -> Refused | None:
    if not options.webhook_url:
        return None
    fault = check(options.webhook_url, Policy.from_settings())
    if fault is None:
        return None
    sentence = f"The webhook's address: {fault.sentence}"
    return Refused(400, "webhook_url_refused", sentence, field="webhook_url")


def _bad_address(owner_id: int, options: Options) -> Refused | None:
    if not options.notify_email:
        return None
    refusal = notify.refusal(owner_id, options.notify_email)
    return Refused(400, *refusal, field="notify_email") if refusal else None


def _bad_team(owner_id: int, options: Options) -> Refused | None:
    if not options.team or teams.find(owner_id, options.team):
        return None
    return Refused(400, "team_unknown", teams.unknown(owner_id, options.team), field="team")
