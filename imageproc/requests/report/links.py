"""The URLs of a request's files and images."""

from collections.abc import Callable
from typing import Annotated, NotRequired, Protocol, TypedDict
from urllib.parse import quote
from uuid import UUID

from imageproc.images import store
from imageproc.models import ImageStatus, ProcessingRequest

# (``public_id``, storage key) → URL.
Address = Callable[[UUID, str], str]


class Processed(Protocol):
    """The fields of an image that its URL depends on."""

    @property
    def id(self) -> UUID: ...
    @property
    def status(self) -> str: ...
    @property
    def output_key(self) -> str: ...
    @property
    def picture_id(self) -> UUID | None: ...


class Links(TypedDict):
    """The URLs of a request's parts."""

    status: str
    outputCsv: str
    inputCsv: str
    failedCsv: str
    outputXlsx: NotRequired[Annotated[str, "Where the upload was a workbook."]]


def links_of(request: ProcessingRequest) -> Links:
    stem = f"{request.base_url}/api/requests/{request.id}"
    links: Links = {
        "status": f"{request.base_url}/api/status/{request.id}",
        "outputCsv": f"{stem}/output.csv",
        "inputCsv": f"{stem}/input.csv",
        "failedCsv": f"{stem}/failed.csv",
    }
    if request.is_workbook:
        links["outputXlsx"] = f"{stem}/output.xlsx"
    return links


def image_url(base_url: str, image: Processed) -> str:
    """The public URL of a processed image: on the CDN if there is one, else on this service.

    The content of a URL never changes: it holds the id of a picture, or digits of the content. It
    ends with a file extension, by which shop systems recognise pictures.
    """
    return image_addresses(base_url)(public_id(image), image.output_key)


def image_addresses(base_url: str) -> Address:
    """A faster ``image_url`` for many images of one request."""
    stem = f"{base_url}/api/images"
    if store.public_url("any") is None:
        return lambda image_id, key: f"{stem}/{image_id}/{quote(name_of(key))}"
    return lambda _, key: str(store.public_url(key))


def output_url(image: Processed, address: Address) -> str | None:
    """The URL of a completed image, else None: an image that is being processed again has no
    result."""
    if image.status != ImageStatus.COMPLETED:
        return None
    return address(public_id(image), image.output_key)


def public_id(image: Processed) -> UUID:
    """By which its URL names an image: its picture's, so that it has the same URL in each request
    that finds the picture unchanged. Images from older versions have their own."""
    return image.picture_id or image.id


def original_url(base_url: str, image_id: UUID, key: str) -> str | None:
    """The URL of a stored original, for its owner only; None if it was not stored."""
    return f"{base_url}/api/images/{image_id}/original" if key else None


def name_of(key: str) -> str:
    """The name at the end of a storage key."""
    return key.rpartition("/")[2]
