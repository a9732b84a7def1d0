"""A CSV as customers upload it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence


def sheet_of(rows: Sequence[Sequence[str]]) -> str:
    """The classic three columns over these rows."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["S. No.", "Product Name", "Input Image Urls"])
    writer.writerows(rows)
    return text.getvalue()
