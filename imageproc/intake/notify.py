"""Which address may get an e-mail when a request ends.

The service must not become a way to write to strangers: file names, which anybody may choose, stand
in the subject. So only an operator can open an address: as that of the account, or by its domain.
On a laptop (API_ANONYMOUS) the uploader is the operator.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import get_user_model


def refusal(owner_id: int, address: str) -> tuple[str, str] | None:
    """Why nothing may be sent there for this owner: (code, sentence)."""
    if not settings.EMAIL_ENABLED:
        return "email_not_set_up", "This service sends no e-mail: its operator has to set it up."
    if settings.API_ANONYMOUS or _domain(address) in map(str.lower, settings.EMAIL_ALLOW_DOMAINS):
        return None
    own = own_address(owner_id)
    if own and address.lower() == own.lower():
        return None
    return "email_refused", f"No e-mail may be sent to this address. {allowed(owner_id)}"


def allowed(owner_id: int) -> str:
    """Which addresses an owner may choose, in a sentence."""
    if settings.API_ANONYMOUS:
        return "Any address may be used."
    places = [own] if (own := own_address(owner_id)) else []
    places += [f"any address at {domain}" for domain in settings.EMAIL_ALLOW_DOMAINS]
    if not places:
        return "An operator can enter your e-mail address at your account."
    return f"You can use {' or '.join(places)}."


def own_address(owner_id: int) -> str:
    """The address that an operator entered at the owner's account, or ""."""
    emails = get_user_model().objects.filter(pk=owner_id).values_list("email", flat=True)
    return emails.first() or ""


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()
