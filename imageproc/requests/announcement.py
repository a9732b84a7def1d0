"""Who is told that a request has ended."""

from uuid import UUID

from imageproc.models import ProcessingRequest
from imageproc.requests import mail, webhooks


def announce(request_id: UUID) -> None:
    """Create the messages that a request owes now that it has ended. Call this inside the
    transaction that ends the request."""
    request = ProcessingRequest.objects.get(id=request_id)
    webhooks.announce(request)
    mail.announce(request)
