"""Absolute addresses of what belongs to a request."""

from typing import TypedDict
from uuid import UUID

from imageproc.models import ProcessingRequest
from imageproc.pipeline import store


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
    own = f"{base_url}/api/images/{image_id}/{name_of(key)}"
    return store.public_url(key) or own


def original_url(base_url: str, image_id: UUID, key: str) -> str | None:
    """The stored input of an image, for its owner only; None where it was not kept."""
    return f"{base_url}/api/images/{image_id}/original" if key else None


def name_of(key: str) -> str:
    """The name at the end of a storage key."""
    return key.rpartition("/")[2]
