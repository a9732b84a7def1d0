"""From an uploaded file to rows: ``upload`` is the only door in, ``ingest`` writes the rows."""

from imageproc.intake.upload import (
    Options,
    Refused,
    Upload,
    accept,
    inspect,
    rehearse,
)

__all__ = ["Options", "Refused", "Upload", "accept", "inspect", "rehearse"]
