"""Why an upload is refused, as a value with a stable code."""

from __future__ import annotations

from typing import Any

RETRY_SECONDS = 30


class Refused(Exception):  # noqa: N818
    """The upload was refused and nothing was stored.

    ``code``: stable. ``status``: HTTP. ``field``: the option to blame, or "". ``errors``: [{line,
    column, value, code, message, row}], the first ones of ``error_count``. ``kinds``: [{code,
    message, count}], all of them by code, the commonest first. ``retry_after``: seconds, where
    trying again can help.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        error_count: int = 0,
        kinds: list[dict[str, Any]] | None = None,
        retry_after: int | None = None,
        field: str = "",
    ) -> None:
        super().__init__(message)
        self.field = field
        self.status, self.code, self.message = status, code, message
        self.errors, self.error_count, self.retry_after = errors or [], error_count, retry_after
        self.kinds = kinds or []
