"""Logging: a line of JSON for machines, a coloured one for a terminal; never a secret.

Every record, of this project and of libraries, goes through the same processors (structlog's
ProcessorFormatter), so ``logging.getLogger`` with ``extra={"image_id": …}`` is all that code needs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import MutableMapping
from typing import Any
from uuid import UUID

import structlog

# Keys and secrets of this service, credentials of header fields and of URLs, and everything after
# a URL's "?".
_SECRET_VALUE = re.compile(
    r"\b(?:ip_|whsec_)[\w+/=-]{8,}|(?i:\b(?:basic|bearer) )[\w+/=.~-]{6,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)
_QUERY = re.compile(r"((?:https?://|[A-Z]{3,7} /|\s/)[^\s?\"'<>]*)\?[^\s\"'<>]+")
_SECRET_NAME = re.compile(r"secret|password|token|authorization|cookie|signature|api_?key", re.I)
HIDDEN = "…"

Event = MutableMapping[str, Any]
SHARED = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
# For the loggers that are structlog's own: django-structlog's.
structlog.configure(
    processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)


def scrub(_: Any, __: str, event: Event) -> Event:
    """Take secrets and the queries of URLs out of every text, tracebacks included."""
    for name, value in event.items():
        event[name] = HIDDEN if _SECRET_NAME.search(name) else _clean(value)
    return event


def keep_plain(_: Any, __: str, event: Event) -> Event:
    """Drop the objects that libraries attach (django.request: the whole request)."""
    plain = (str, int, float, bool, dict, list, tuple, type(None))
    kept = {k: str(v) if isinstance(v, UUID) else v for k, v in event.items()}
    return {name: value for name, value in kept.items() if isinstance(value, plain)}


def logging_config(*, json: bool, level: str) -> dict[str, Any]:
    """Django's LOGGING. ``json``: one object a line, else for people."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": "structlog.stdlib.ProcessorFormatter",
                "foreign_pre_chain": [*SHARED, structlog.stdlib.ExtraAdder()],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    keep_plain,
                    scrub,
                    _renderer(json),
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # q2 logs each task four times; what matters is logged by the function that it calls.
            "django-q": {"level": "WARNING"},
            # Eight lines an image, of no use outside libvips.
            "pyvips": {"level": "WARNING"},
            # Has a handler and a format of its own by default.
            "django": {"handlers": [], "level": level, "propagate": True},
            "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
            # django_structlog logs every response and every exception.
            "django.request": {"level": "CRITICAL"},
        },
    }


def _renderer(json: bool) -> Any:
    if json:
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _QUERY.sub(rf"\1?{HIDDEN}", _SECRET_VALUE.sub(HIDDEN, value))
    if isinstance(value, dict):
        return {k: HIDDEN if _SECRET_NAME.search(str(k)) else _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    return value
