"""A small catalogue to try the service with: a CSV and its pictures, all of them static files.

Some pictures are as real catalogues have them: turned by EXIF, transparent, CMYK, WebP. Two fail on
purpose: a link is broken, and a file is no picture.
"""

from django.conf import settings

FOLDER = settings.BASE_DIR / "static" / "sample"


def sheet(address: str) -> bytes:
    """The CSV, with its pictures below ``address``, which has no slash at its end."""
    text = (FOLDER / "products.csv").read_text()
    return text.replace("{address}", address).encode()
