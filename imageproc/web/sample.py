"""A small catalogue to try the service with: a CSV and its pictures, which are static files.

As in real catalogues, some pictures are rotated by EXIF, transparent, CMYK or WebP. Two fail on
purpose: one link is broken, and one file is not a picture.
"""

from django.conf import settings

FOLDER = settings.PAGES_DIR / "static" / "sample"


def sheet(address: str) -> bytes:
    """The CSV with links to its pictures below ``address``, which has no slash at its end."""
    text = (FOLDER / "products.csv").read_text()
    return text.replace("{address}", address).encode()
