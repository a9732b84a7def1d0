"""Every key under which the service stores an object.

``<request>/`` holds all that belongs to one request, so that removing the request is removing
what begins with it. An image's key is readable, unique and ends in digits of its content
(docs/adr/0005-object-keys.md): ``<serial>-<product>-<position>-<image>-<content>.jpg``, or
``<image>-<content>/<name>.jpg`` where the upload asked for names by a pattern.
"""

from __future__ import annotations

from uuid import UUID

from django.utils.text import slugify

from imageproc.images import patterns
from imageproc.images.recipe import FILE_TYPES
from imageproc.sheet import XLSX

DIGITS = 8
_CONTENT_TYPES = {"csv": "text/csv", "xlsx": XLSX} | {
    kind.extension: kind.content_type for kind in FILE_TYPES.values()
}


def request_prefix(request_id: UUID) -> str:
    return f"{request_id}/"


def input_key(request_id: UUID, extension: str = "csv") -> str:
    """The file as it was uploaded."""
    return f"{request_prefix(request_id)}input.{extension}"


def output_key(request_id: UUID, reopened: int, extension: str = "csv") -> str:
    """The file with its results. Each time that images were put back to work it has another name: a
    completion that was held up meanwhile must not write its older table over the newer one."""
    again = f"-{reopened}" if reopened else ""
    return f"{request_prefix(request_id)}output{again}.{extension}"


def image_stem(
    request_id: UUID, image_id: UUID, *, serial_number: str, product_name: str, position: int
) -> str:
    """What the keys of one image begin with; the same on every retry. The digits of the image's
    id are its last ones, which are random."""
    serial = slugify(serial_number)[:40] or "row"
    name = slugify(product_name)[:60] or "product"
    return f"{request_prefix(request_id)}{serial}-{name}-{position}-{image_id.hex[-DIGITS:]}"


def named_stem(request_id: UUID, image_id: UUID) -> str:
    """The same for an image whose name the upload's pattern gave."""
    return f"{request_prefix(request_id)}{image_id.hex[-DIGITS:]}"


def rendition_key(stem: str, sha256: str, extension: str, name: str = "") -> str:
    """Other content has another key: a worker that slept past its lease can write only what is
    there already, or beside it; never other bytes under a key that a row vouches for.

    ``name``: from ``patterns.Pattern.stem``. It ends the key as it is, in a folder of the digits.
    """
    ending = f"/{patterns.with_digest(name, sha256)}" if name else ""
    return f"{stem}-{sha256[:DIGITS]}{ending}.{extension}"


def original_key(stem: str, sha256: str, extension: str, name: str = "") -> str:
    """The image as its host sent it."""
    return rendition_key(f"{stem}-original", sha256, extension, name)


def content_type(key: str) -> str:
    """The MIME type of what is stored under a key. Originals are named after their format."""
    extension = key.rpartition(".")[2]
    return _CONTENT_TYPES.get(extension, f"image/{extension}")


def probe_key(host: str) -> str:
    """What a health check writes and reads back."""
    return f"probe/{host}"
