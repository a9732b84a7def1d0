"""From an uploaded file to rows: ``upload`` is the only door in, ``ingest`` writes the rows."""

from imageproc.intake.upload import (
    RECIPE_OPTIONS,
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
    "RECIPE_OPTIONS",
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
