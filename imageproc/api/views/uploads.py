"""Uploads of CSV files, and the check of one without storing it."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status as http
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from imageproc import intake
from imageproc.api import bodies, examples, shapes
from imageproc.api.access import caller_id, own_address
from imageproc.api.openapi import problems, ref
from imageproc.api.parsers import UPLOAD_PARSERS, FirstFormat
from imageproc.api.serializers import UploadFormSerializer, UploadSerializer
from imageproc.sheet import XLSX

POLL_SECONDS = 2
MAX_KEY = 255


class UploadView(APIView):
    """Upload a CSV or an Excel workbook (.xlsx) of products and image URLs.

    Send it as the form field `file` (or `csv`), or as the body itself with `Content-Type: text/csv`
    (of a workbook, its own type) and the options in the query. 202: the file is stored whole, every
    line is valid, and the work is queued. 400: nothing is stored; `errors` lists what to fix, by
    line or field. With `onError=skip` bad rows are left out instead.
    """

    parser_classes = UPLOAD_PARSERS
    content_negotiation_class = FirstFormat
    scopes: ClassVar = {"POST": "upload"}

    @extend_schema(
        operation_id="upload",
        request={
            "multipart/form-data": UploadFormSerializer,
            "text/csv": OpenApiTypes.BINARY,
            XLSX: OpenApiTypes.BINARY,
        },
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                location=OpenApiParameter.HEADER,
                description="Repeating an upload with the same key within 24 hours returns the "
                "first answer and creates no second request.",
            )
        ],
        responses={202: ref(shapes.Accepted), 200: ref(shapes.Rehearsal)}
        | problems(400, 401, 403, 413, 415, 422, 429, 503),
        examples=[examples.ACCEPTED, examples.REHEARSAL, examples.CSV_INVALID],
    )
    def post(self, request: Request, **_: Any) -> Response:
        upload, dry_run = _upload_of(request)
        if dry_run:
            return Response(_rehearsal(upload))
        answer = bodies.accepted(intake.accept(upload))
        headers = {"Location": answer["links"]["status"], "Retry-After": str(POLL_SECONDS)}
        return Response(answer, status=http.HTTP_202_ACCEPTED, headers=headers)


class ErrorsView(APIView):
    """All errors of a CSV, as a CSV: row, line, column, value, code, message.

    Send the file and the options as for an upload; nothing is stored.
    """

    parser_classes = UPLOAD_PARSERS
    content_negotiation_class = FirstFormat
    scopes: ClassVar = {"POST": "upload"}

    @extend_schema(
        operation_id="uploadErrors",
        request={
            "multipart/form-data": UploadFormSerializer,
            "text/csv": OpenApiTypes.BINARY,
            XLSX: OpenApiTypes.BINARY,
        },
        responses={(200, "text/csv"): OpenApiTypes.STR}
        | problems(400, 401, 403, 413, 415, 429, 503),
    )
    def post(self, request: Request, **_: Any) -> StreamingHttpResponse:
        upload, _dry_run = _upload_of(request)
        return StreamingHttpResponse(
            bodies.errors_csv(intake.errors_of(upload)),
            content_type="text/csv",
            headers={"Content-Disposition": 'attachment; filename="errors.csv"'},
        )


def _rehearsal(upload: intake.Upload) -> shapes.Rehearsal:
    """An option that is refused ends a dry run too; a pause or a quota is only named."""
    for refused in intake.obstacles(upload):
        if refused.field:
            raise refused
    checked, same_names = intake.rehearse(upload)
    blocked = intake.obstacles(upload, checked.summary.images)
    blocked += [same_names] if same_names else []
    return bodies.rehearsal(checked, upload.options, blocked)


def _upload_of(request: Request) -> tuple[intake.Upload, bool]:
    file = _file_of(request)
    options = UploadSerializer(data=_known(request, _fields(request)))
    options.is_valid(raise_exception=True)
    upload = intake.Upload(
        owner_id=caller_id(request),
        file=file,
        file_name=file.name or "upload.csv",
        base_url=own_address(request),
        options=options.options(),
        idempotency_key=_key_of(request),
    )
    return upload, options.validated_data["dryRun"]


def _file_of(request: Request) -> UploadedFile[Any]:
    file = request.FILES.get("file") or request.FILES.get("csv")
    if not isinstance(file, UploadedFile):
        raise intake.Refused(
            400, "file_missing", 'Send the CSV as the form field "file" or "csv", or as the body.'
        )
    return file


def _fields(request: Request) -> dict[str, Any]:
    """The query and the form together, without empty fields. Clients of an earlier system send
    ``webhook_url``."""
    form = cast("QueryDict", request.data)  # both parsers return one
    fields = {**request.query_params.dict(), **form.dict()}
    if "webhook_url" in fields:
        fields.setdefault("webhookUrl", fields["webhook_url"])
    return {name: value for name, value in fields.items() if value != ""}


def _known(request: Request, fields: dict[str, Any]) -> dict[str, Any]:
    """At the addresses of the earlier systems, fields that are no options of ours are passed over,
    as those systems did."""
    if request.path.startswith("/api/"):
        return fields
    return {name: value for name, value in fields.items() if name in UploadSerializer().fields}


def _key_of(request: Request) -> str | None:
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise ValidationError({"Idempotency-Key": f"Use 1 to {MAX_KEY} characters."})
    return key
