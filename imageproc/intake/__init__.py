"""From an uploaded file to rows: ``upload`` is the only door in, ``ingest`` writes the rows."""

from imageproc.intake.upload import (
    SHOWN_ERRORS,
    Options,
    Refused,
    Upload,
    accept,
    errors_of,
    inspect,
    invalid,
    is_accepted,
    kinds_of,
    notes_on,
    obstacles,
    rehearse,
)

__all__ = [
    "SHOWN_ERRORS",
    "Options",
    "Refused",
    "Upload",
    "accept",
    "errors_of",
    "inspect",
    "invalid",
    "is_accepted",
    "kinds_of",
    "notes_on",
    "obstacles",
    "rehearse",
]
