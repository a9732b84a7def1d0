"""The JSON API: each view parses, makes one call of the domain, and answers."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.conf import settings
from django.http import FileResponse, Http404, StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from imageproc import intake, report
from imageproc.api import serializers
from imageproc.api.parsers import UPLOAD_PARSERS
from imageproc.models import ProcessingRequest, ProductImage

POLL_SECONDS = 2


class UploadView(APIView):
    """POST a CSV: 202 when it was accepted whole, 4xx with every invalid line when not."""

    parser_classes = UPLOAD_PARSERS
    scopes: ClassVar = {"POST": "upload"}

    def post(self, request: Request) -> Response:
        accepted = intake.accept(_upload_of(request))
        answer = serializers.accepted(accepted)
        headers = {"Location": answer["links"]["status"], "Retry-After": str(POLL_SECONDS)}
        return Response(answer, status=http.HTTP_202_ACCEPTED, headers=headers)


class StatusView(APIView):
    """GET progress, failures by reason and one page of products (``cursor``, ``limit``)."""

    def get(self, request: Request, request_id: UUID) -> Response:
        found = own_request(request, request_id)
        page = report.product_page(found.id, **_page_of(request))
        answer = serializers.status(report.status_of(found), page)
        headers = {} if found.is_final else {"Retry-After": str(POLL_SECONDS)}
        return Response(answer, headers=headers)


class OutputCsvView(APIView):
    """GET the CSV with output URLs; partial while the request runs."""

    def get(self, request: Request, request_id: UUID) -> HttpResponseBase:
        found = own_request(request, request_id)
        return _csv(report.output_csv(found), f"output-{found.file_name}")


class InputCsvView(APIView):
    """GET the CSV as it was uploaded."""

    def get(self, request: Request, request_id: UUID) -> HttpResponseBase:
        found = own_request(request, request_id)
        return _csv(report.input_csv(found), found.file_name)


class ImageView(APIView):
    """GET a processed image. Its id is unguessable and is the capability to see it: output URLs
    are published in shops."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request, image_id: UUID) -> HttpResponseBase:
        image = ProductImage.objects.filter(id=image_id).exclude(output_key="").first()
        if image is None:
            raise Http404
        answer = FileResponse(report.open_image(image), content_type=image.content_type)
        answer["Content-Length"] = str(image.output_size)
        answer["Cache-Control"] = "public, max-age=31536000, immutable"
        answer["ETag"] = f'"{image.output_sha256}"'
        return answer


def caller_id(request: Request) -> int:
    """The user that owns what this call makes or sees."""
    return int(request.user.pk)  # type: ignore[arg-type]  # HasScope lets in only saved users


def own_request(request: Request, request_id: UUID) -> ProcessingRequest:
    """The caller's request of this id; Http404 where there is none or it is another's."""
    mine = ProcessingRequest.objects.owned_by(caller_id(request))
    found = mine.filter(id=request_id).first()
    if found is None:
        raise Http404
    return found


def _upload_of(request: Request) -> intake.Upload:
    file = request.FILES.get("file") or request.FILES.get("csv")
    if file is None:
        raise intake.Refused(
            400, "file_missing", 'Send the CSV as the form field "file" or "csv", or as the body.'
        )
    options = serializers.UploadSerializer(data=request.data)
    options.is_valid(raise_exception=True)
    return intake.Upload(
        owner_id=caller_id(request),
        file=file,
        file_name=file.name or "upload.csv",
        base_url=settings.PUBLIC_URL or request.build_absolute_uri("/").rstrip("/"),
        options=options.options(),
        idempotency_key=request.headers.get("Idempotency-Key"),
    )


def _page_of(request: Request) -> dict[str, Any]:
    query = serializers.PageSerializer(data=request.query_params)
    query.is_valid(raise_exception=True)
    return {"after": query.validated_data["cursor"], "limit": query.validated_data["limit"]}


def _csv(chunks: Any, file_name: str) -> StreamingHttpResponse:
    answer = StreamingHttpResponse(chunks, content_type="text/csv")
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in file_name)
    answer["Content-Disposition"] = (
        f'attachment; filename="{stem.encode("ascii", "replace").decode()}"'
    )
    answer["X-Content-Type-Options"] = "nosniff"
    return answer
