"""The tasks that the queue runs. Each makes one call.

A task may run twice, late or never; every callee starts with a conditional UPDATE on the row.
"""

from uuid import UUID

from imageproc.images import pump as pumping
from imageproc.images import sources
from imageproc.images import sweep as sweeping
from imageproc.intake import ingest as ingestion
from imageproc.intake import pending
from imageproc.requests import completion, mail, removal, webhooks
from imageproc.workers import stop_requested


def pump() -> int:
    """Process images for a minute. Returns how many were recorded."""
    return pumping.run(stop_requested)


def ingest(request_id: str) -> int:
    """Write the rows of an accepted CSV. Returns the number of products written."""
    return ingestion.ingest(UUID(request_id), stop_requested)


def complete(request_id: str) -> bool:
    """End a request whose images are all final."""
    return completion.complete(UUID(request_id))


def close_images(request_id: str) -> int:
    """Cancel the images that were open when their request ended. Returns how many."""
    return completion.close_images(UUID(request_id))


def erase(request_id: str) -> bool:
    """Delete the objects and rows of a removed request. Returns whether nothing is left."""
    return removal.erase(UUID(request_id))


def discard_upload(upload_id: str) -> bool:
    """Delete the file of an upload that never became a request. Returns whether it is gone."""
    return pending.discard(UUID(upload_id))


def collect() -> int:
    """Delete pictures that no image names any more. Returns how many."""
    return sources.collect_leftovers()


def deliver(delivery_id: str) -> bool:
    """Make one attempt at a webhook. Returns whether it was delivered."""
    return webhooks.deliver(UUID(delivery_id))


def send_mail(mail_id: str) -> bool:
    """Make one attempt at an e-mail. Returns whether the mail server accepted it."""
    return mail.send(UUID(mail_id))


def sweep() -> dict[str, int]:
    """Called by the control cluster's keeper, not by the queue. Returns what was done, by name."""
    return sweeping.sweep()
