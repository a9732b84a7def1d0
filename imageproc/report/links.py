"""Absolute addresses of what belongs to a request."""

from uuid import UUID

from imageproc.models import ProcessingRequest
from imageproc.pipeline import store


def links_of(request: ProcessingRequest) -> dict[str, str]:
    """Name of the thing → its address."""
    stem = f"{request.base_url}/api/requests/{request.id}"
    return {
        "status": f"{request.base_url}/api/status/{request.id}",
        "outputCsv": f"{stem}/output.csv",
        "inputCsv": f"{stem}/input.csv",
        "failedCsv": f"{stem}/failed.csv",
    }


def image_url(base_url: str, image_id: UUID, key: str) -> str:
    """Where anyone can see a processed image: the CDN where there is one, else this service."""
    return store.public_url(key) or f"{base_url}/api/images/{image_id}"
