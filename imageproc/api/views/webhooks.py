"""The secret that signs webhooks, and sending a message again."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from imageproc.api import bodies, shapes
from imageproc.api.access import caller_id, own_delivery
from imageproc.api.openapi import problems, ref
from imageproc.api.problems import Conflict
from imageproc.models import WebhookSecret
from imageproc.requests import operations


class SecretView(APIView):
    """The secret that signs your webhooks; created on first use."""

    scopes: ClassVar = {"GET": "operate"}

    @extend_schema(
        operation_id="webhookSecret", responses={200: ref(shapes.Secret)} | problems(401, 403)
    )
    def get(self, request: Request) -> Response:
        return _secret(caller_id(request))


class RotateSecretView(APIView):
    """Create a new secret. For 24 hours, messages are signed with both."""

    scopes: ClassVar = {"POST": "operate"}

    @extend_schema(
        operation_id="rotateWebhookSecret",
        request=None,
        responses={201: ref(shapes.Secret)} | problems(401, 403),
    )
    def post(self, request: Request) -> Response:
        WebhookSecret.objects.rotate(caller_id(request))
        return _secret(caller_id(request), http.HTTP_201_CREATED)


class RedeliverView(APIView):
    """Send a message again at once, with the same id and body."""

    scopes: ClassVar = {"POST": "operate"}

    @extend_schema(
        operation_id="redeliver",
        request=None,
        responses={202: ref(shapes.Delivery)} | problems(401, 403, 404, 409),
    )
    def post(self, request: Request, delivery_id: UUID) -> Response:
        found = own_delivery(request, delivery_id)
        if not operations.redeliver(found.id):
            raise Conflict("being_sent", "This message is being sent right now.")
        found.refresh_from_db()
        return Response(bodies.delivery(found), status=http.HTTP_202_ACCEPTED)


def _secret(owner_id: int, status: int = http.HTTP_200_OK) -> Response:
    WebhookSecret.objects.current(owner_id)
    rows = list(WebhookSecret.objects.usable(owner_id))
    return Response(bodies.secret(rows), status=status, headers={"Cache-Control": "no-store"})
