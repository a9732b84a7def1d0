"""The status of requests, and operations on them."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from imageproc.api import bodies, examples, shapes
from imageproc.api.access import caller_id, own_request, refuse_others
from imageproc.api.openapi import problems, ref
from imageproc.api.problems import Conflict
from imageproc.api.serializers import (
    ListSerializer,
    PageSerializer,
    PrioritySerializer,
    RetrySerializer,
)
from imageproc.api.views.uploads import POLL_SECONDS
from imageproc.models import ProcessingRequest
from imageproc.requests import operations, report

# Clients must ask again each time; they get a 304 without a body if nothing has changed.
REVALIDATE = {"Cache-Control": "private, no-cache"}


class ListView(APIView):
    """Your requests and those of your teams, the newest first, in pages."""

    @extend_schema(
        operation_id="listRequests",
        parameters=[ListSerializer],
        responses={200: ref(shapes.RequestList)} | problems(400, 401),
    )
    def get(self, request: Request) -> Response:
        query = ListSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        page = report.request_page(caller_id(request), **query.page())
        answer: shapes.RequestList = {
            "requests": [bodies.summary(one) for one in page.requests],
            "nextCursor": str(page.next_before) if page.next_before else None,
        }
        return Response(answer, headers=REVALIDATE)


@method_decorator(conditional_page, name="dispatch")
class StatusView(APIView):
    """Progress, failures by reason, webhooks, and one page of products.

    Ask again after `Retry-After` seconds, with `If-None-Match`: 304 means no change.
    """

    @extend_schema(
        operation_id="status",
        parameters=[PageSerializer],
        responses={200: ref(shapes.Status), 304: None} | problems(400, 401, 404),
        examples=[examples.STATUS],
    )
    def get(self, request: Request, request_id: UUID) -> Response:
        query = PageSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        found = own_request(request, request_id)
        page = report.product_page(found.id, **query.page())
        answer = bodies.status(report.status_of(found), page, report.deliveries_of(found))
        wait = {} if found.is_final else {"Retry-After": str(POLL_SECONDS)}
        return Response(answer, headers=REVALIDATE | wait)


@extend_schema_view(
    get=extend_schema(operation_id="getRequest", summary="The status, under a second address")
)
class RequestView(StatusView):
    """The status under a second address, and operations on the request as a whole."""

    scopes: ClassVar = {"PATCH": "operate", "DELETE": "operate"}

    @extend_schema(
        operation_id="setPriority",
        request=PrioritySerializer,
        responses={200: ref(shapes.Summary)} | problems(400, 401, 403, 404, 409),
    )
    def patch(self, request: Request, request_id: UUID) -> Response:
        """Change the priority of an open request."""
        found = own_request(request, request_id)
        body = PrioritySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        if not operations.set_priority(found.id, body.validated_data["priority"]):
            raise Conflict("request_ended", "This request has ended.")
        return Response(_summary(found))

    @extend_schema(operation_id="deleteRequest", responses={204: None} | problems(401, 403, 404))
    def delete(self, request: Request, request_id: UUID) -> Response:
        """Remove a request with its CSVs and images; an open one is stopped first. Of a team's
        requests, only one's own.

        It disappears at once for everyone; its files and rows are deleted in the background.
        """
        found = own_request(request, request_id)
        refuse_others(found, caller_id(request))
        operations.remove(found.id)
        return Response(status=http.HTTP_204_NO_CONTENT)


class RetryView(APIView):
    """Retry failed images: all of them, those with one reason or host, or chosen ones."""

    scopes: ClassVar = {"POST": "operate"}

    @extend_schema(
        operation_id="retry",
        request=RetrySerializer,
        responses={202: ref(shapes.Retried)} | problems(400, 401, 403, 404, 409),
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        found = own_request(request, request_id)
        body = RetrySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        retried = operations.retry(found.id, **body.filters())
        if not retried:
            raise Conflict("nothing_to_retry", "There are no failed images to retry.")
        answer: shapes.Retried = {**_summary(found), "retriedImages": retried}
        return Response(answer, status=http.HTTP_202_ACCEPTED)


class CancelView(APIView):
    """Stop a request. Finished images are kept. Repeating the call is no error."""

    scopes: ClassVar = {"POST": "operate"}

    @extend_schema(
        operation_id="cancel",
        request=None,
        responses={200: ref(shapes.Summary)} | problems(401, 403, 404, 409),
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        found = own_request(request, request_id)
        operations.cancel(found.id)
        answer = _summary(found)
        if answer["status"] != "CANCELLED":
            raise Conflict("request_ended", "This request has already ended.")
        return Response(answer)


class ContinueView(APIView):
    """Continue a cancelled request: its cancelled images are processed after all."""

    scopes: ClassVar = {"POST": "operate"}

    @extend_schema(
        operation_id="continue",
        request=None,
        responses={202: ref(shapes.Continued)} | problems(401, 403, 404, 409),
    )
    def post(self, request: Request, request_id: UUID) -> Response:
        found = own_request(request, request_id)
        images = operations.continue_cancelled(found.id)
        if not images:
            raise Conflict(
                "nothing_to_continue",
                "There are no cancelled images to continue with. Just after a cancel, try again in "
                "a moment.",
            )
        answer: shapes.Continued = {**_summary(found), "continuedImages": images}
        return Response(answer, status=http.HTTP_202_ACCEPTED)


def _summary(request: ProcessingRequest) -> shapes.Summary:
    """The summary of the request as it is now."""
    request.refresh_from_db()
    return bodies.summary(request)
