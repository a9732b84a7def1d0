"""What uploads that never became a request leave on the storage."""

from __future__ import annotations

import logging
from uuid import UUID

from imageproc.images import names, store
from imageproc.models import PendingUpload

log = logging.getLogger(__name__)


def discard(upload_id: UUID) -> bool:
    """Delete the file of an upload that is under way no longer. False where it became a request
    meanwhile, or where the storage is away: the row stays then, and the sweep asks again."""
    if not PendingUpload.objects.abandon(upload_id):
        return False
    try:
        store.delete_many(names.input_key(upload_id, one) for one in ("csv", "xlsx"))
    except store.StoreError as error:
        log.warning("file of an upload not deleted: %s", error, extra={"upload": str(upload_id)})
        return False
    PendingUpload.objects.filter(id=upload_id).delete()
    return True
