"""The header fields that operators set for image hosts, as a worker process knows them.

They are read apart from the jobs, so that no job, log or traceback of one shows a secret.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from imageproc.models import HostAccess

log = logging.getLogger(__name__)
# A change reaches the workers within this time.
REFRESH_SECONDS = 5.0
_NONE: Mapping[str, str] = {}


class Access:
    def __init__(self) -> None:
        self._by_host: dict[tuple[str, int | None], Mapping[str, str]] = {}
        self._refresh_after = 0.0

    def refresh(self) -> None:
        """Read what is set. One query of a table that is empty for most, every few seconds."""
        if time.monotonic() < self._refresh_after:
            return
        read: dict[tuple[str, int | None], Mapping[str, str]] = {}
        for row in HostAccess.objects.all():
            if (headers := row.headers()) is None:
                log.warning("host access cannot be decrypted", extra={"host": row.host})
            else:
                read[row.host, row.owner_id] = headers
        self._by_host = read
        self._refresh_after = time.monotonic() + REFRESH_SECONDS

    def headers(self, host: str, owner_id: int) -> Mapping[str, str]:
        """What to send to ``host`` for an image of this owner: the owner's own fields, over those
        for everybody."""
        if not self._by_host:
            return _NONE
        for_all = self._by_host.get((host, None), _NONE)
        return {**for_all, **self._by_host.get((host, owner_id), _NONE)}

    def forget(self) -> None:
        self.__init__()  # type: ignore[misc]


access = Access()
