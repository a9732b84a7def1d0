"""Absolute addresses of what belongs to a request."""

from collections.abc import Callable
from typing import Protocol, TypedDict
from uuid import UUID

from imageproc.images import store
from imageproc.models import ImageStatus, ProcessingRequest

# (image id, storage key) → where the image is.
Address = Callable[[UUID, str], str]


class Processed(Protocol):
    """What of an image decides its address: its row, or the columns read for it."""

    @property
    def id(self) -> UUID: ...
    @property
    def status(self) -> str: ...
    @property
    def output_key(self) -> str: ...


class Links(TypedDict):
    """The addresses of a request's parts."""

    status: str
    outputCsv: str
    inputCsv: str
    failedCsv: str


def links_of(request: ProcessingRequest) -> Links:
    stem = f"{request.base_url}/api/requests/{request.id}"
    return {
        "status": f"{request.base_url}/api/status/{request.id}",
        "outputCsv": f"{stem}/output.csv",
        "inputCsv": f"{stem}/input.csv",
        "failedCsv": f"{stem}/failed.csv",
    }


def image_url(base_url: str, image_id: UUID, key: str) -> str:
    """Where anyone can see a processed image: the CDN where there is one, else this service.

    The name at the end holds the content's digest, so that what is under an address never changes,
    and its ending is what shop systems know a picture by.
    """
    return image_addresses(base_url)(image_id, key)


def image_addresses(base_url: str) -> Address:
    """``image_url`` for many: what is the same for all of them is found out once."""
    stem = f"{base_url}/api/images"
    if store.public_url("any") is None:
        return lambda image_id, key: f"{stem}/{image_id}/{name_of(key)}"
    return lambda _, key: str(store.public_url(key))


def output_url(image: Processed, address: Address) -> str | None:
    """Only of a completed image: one that is being processed again has no result to vouch for."""
    if image.status != ImageStatus.COMPLETED:
        return None
    return address(image.id, image.output_key)


def original_url(base_url: str, image_id: UUID, key: str) -> str | None:
    """The stored input of an image, for its owner only; None where it was not kept."""
    return f"{base_url}/api/images/{image_id}/original" if key else None


def name_of(key: str) -> str:
    """The name at the end of a storage key."""
    return key.rpartition("/")[2]
