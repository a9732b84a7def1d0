"""A small catalogue to try the service with: a CSV and its pictures, which are static files.

As in real catalogues, some pictures are rotated by EXIF, transparent, CMYK or WebP. Two fail on
purpose: one link is broken, and one file is not a picture.
"""

import re
from collections.abc import Callable

from django.conf import settings

FOLDER = settings.PAGES_DIR / "static" / "sample"


def sheet(address: str, name_of: Callable[[str], str] = str) -> bytes:
    """The CSV with links to its pictures below ``address``, which has no slash at its end.

    ``name_of``: what a picture is called there.
    """
    text = (FOLDER / "products.csv").read_text()
    return re.sub(r"{address}/(\S+)", lambda m: f"{address}/{name_of(m[1])}", text).encode()
