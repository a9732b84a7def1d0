"""From an uploaded file to rows: ``upload`` is the only door in, ``ingest`` writes the rows."""

from imageproc.intake.inspection import (
    SHOWN_ERRORS,
    errors_of,
    inspect,
    invalid,
    is_accepted,
    kinds_of,
    notes_on,
    rehearse,
)
from imageproc.intake.obstacles import obstacles
from imageproc.intake.options import RECIPE_OPTIONS, Options, Upload
from imageproc.intake.refused import Refused
from imageproc.intake.upload import accept

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
