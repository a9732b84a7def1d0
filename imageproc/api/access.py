"""Who may see and change what, for every view of the API.

The answer is Http404 both for what does not exist and for what belongs to somebody else.
"""

from __future__ import annotations

import logging
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from imageproc.models import ApiKey, ProcessingRequest, ProductImage, WebhookDelivery

log = logging.getLogger(__name__)
OPERATE = "imageproc.operate"
T = TypeVar("T")
Part = TypeVar("Part", WebhookDelivery, ProductImage)


def caller_id(request: Request) -> int:
    """The id of the user who owns what this call creates or reads."""
    return int(request.user.pk)  # type: ignore[arg-type]  # HasScope lets in only saved users


def own_request(request: Request, request_id: UUID) -> ProcessingRequest:
    """A request of the caller or of their teams; an operator who is signed in may also read
    another's."""
    mine = shared_request(caller_id(request), request_id)
    if mine is None and not isinstance(request.auth, ApiKey):
        mine = read_as_operator(request, request.user, request_id)
    return _or_404(mine)


def shared_request(user_id: int, request_id: UUID) -> ProcessingRequest | None:
    """A request of this user or of their teams. One query for one's own, two for others'."""
    requests = ProcessingRequest.objects
    own = requests.owned_by(user_id).filter(id=request_id).first()
    return own or requests.of_teams(user_id).filter(id=request_id).first()


def refuse_others(found: ProcessingRequest, user_id: int) -> None:
    """What only the owner may do with a request that a team shares. Raises PermissionDenied."""
    if found.owner_id != user_id:
        raise PermissionDenied("Only its owner can remove a request.")


def read_as_operator(
    request: Request | HttpRequest, user: Any, request_id: UUID
) -> ProcessingRequest | None:
    """Another's request, for an operator who helps its owner: to read only, and logged."""
    if request.method not in SAFE_METHODS or not user.has_perm(OPERATE):
        return None
    found = ProcessingRequest.objects.kept().filter(id=request_id).first()
    if found is not None:
        log.info(
            "operator reads a request",
            extra={"request_id": str(request_id), "operator": user.pk, "path": request.path},
        )
    return found


def own_delivery(request: Request, delivery_id: UUID) -> WebhookDelivery:
    found = WebhookDelivery.objects.filter(id=delivery_id, request__removed_at=None)
    return _or_404(_shared(found.select_related("request").first(), request))


def public_image(image_id: UUID) -> ProductImage:
    """A processed image, for anyone who knows its id or that of its picture, because output URLs
    are published in shops. It cannot be guessed: its last 32 bits are random (models.ids)."""
    published = ProductImage.objects.filter(request__removed_at=None).exclude(output_key="")
    found = list(published.filter(picture=image_id)[:1]) or list(published.filter(id=image_id))
    return _or_404(found[0] if found else None)


def own_image(request: Request, image_id: UUID) -> ProductImage:
    """An image of the caller or of their teams, whose stored original may be read too."""
    found = ProductImage.objects.filter(id=image_id, request__removed_at=None)
    return _or_404(_shared(found.select_related("request").first(), request))


def _shared(part: Part | None, request: Request) -> Part | None:
    """A part of a request, where the caller may see the request."""
    return part if part and part.request.is_shared_with(caller_id(request)) else None


def own_address(request: Request | HttpRequest) -> str:
    """The address at which clients reach this service, without a slash at the end."""
    return settings.PUBLIC_URL or request.build_absolute_uri("/").rstrip("/")


def _or_404(found: T | None) -> T:
    if found is None:
        raise Http404
    return found
