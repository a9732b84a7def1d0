"""The files of a request, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath
from typing import Any
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from imageproc import sheet
from imageproc.api.access import own_request
from imageproc.api.openapi import problems
from imageproc.api.problems import Conflict
from imageproc.api.serializers import NamesSerializer, OutputCsvSerializer, OutputSerializer
from imageproc.models import ProcessingRequest
from imageproc.requests import report

XLSX: dict[Any, Any] = {(200, sheet.XLSX): OpenApiTypes.BINARY}
CSV: dict[Any, Any] = {(200, "text/csv"): OpenApiTypes.STR} | problems(401, 404, 503)


class CsvView(APIView):
    """One of the files of a request; a CSV if it is not said otherwise."""

    prefix = ""
    media_type = "text/csv"

    def name_of(self, upload: ProcessingRequest) -> str:
        if upload.is_workbook:
            return f"{self.prefix}{PurePath(upload.file_name).stem}.csv"
        return f"{self.prefix}{upload.file_name}"

    def media_type_of(self, upload: ProcessingRequest) -> str:
        return self.media_type

    def chunks(self, upload: ProcessingRequest, request: Request) -> Iterator[bytes]:
        raise NotImplementedError

    def get(self, request: Request, request_id: UUID) -> StreamingHttpResponse:
        found = own_request(request, request_id)
        return StreamingHttpResponse(
            () if request.method == "HEAD" else self.chunks(found, request),
            content_type=self.media_type_of(found),
            headers={
                "Content-Disposition": content_disposition_header(True, self.name_of(found)),
                "Cache-Control": "private, no-cache",
            },
        )


@extend_schema_view(
    get=extend_schema(
        operation_id="outputCsv",
        parameters=[OutputCsvSerializer],
        responses=CSV | problems(400),
    )
)
class OutputCsvView(CsvView):
    """The uploaded CSV with its results, in either form; partial while the request runs."""

    prefix = "output-"

    def chunks(self, upload: ProcessingRequest, request: Request) -> Iterator[bytes]:
        query = OutputCsvSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        return report.output_file(upload, query.form(upload))


class ManifestView(APIView):
    """What every completed image was made of, by which anyone can check the whole: URL, SHA-256 and
    size of source and result, pixels, when it was made, and whether that was before this request.
    """

    @extend_schema(
        operation_id="manifest",
        responses={(200, "application/json"): OpenApiTypes.OBJECT} | problems(401, 404),
    )
    def get(self, request: Request, request_id: UUID) -> StreamingHttpResponse:
        found = own_request(request, request_id)
        return StreamingHttpResponse(
            () if request.method == "HEAD" else report.manifest(found),
            content_type="application/json",
            headers={"Cache-Control": "private, no-cache"},
        )


@extend_schema_view(
    get=extend_schema(
        operation_id="outputXlsx",
        parameters=[OutputSerializer],
        responses=XLSX | problems(400, 401, 404, 503),
    )
)
class OutputXlsxView(OutputCsvView):
    """The uploaded workbook with its results in columns of one worksheet; all else in it is as it
    was. 404 if the upload was no workbook."""

    media_type = sheet.XLSX

    def name_of(self, upload: ProcessingRequest) -> str:
        return f"{self.prefix}{upload.file_name}"

    def chunks(self, upload: ProcessingRequest, request: Request) -> Iterator[bytes]:
        if not upload.is_workbook:
            raise NotFound
        query = OutputSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        return report.output_file(upload, replace(query.form(upload), workbook=True))


@extend_schema_view(
    get=extend_schema(
        operation_id="imagesZip",
        parameters=[NamesSerializer],
        responses={(200, "application/zip"): OpenApiTypes.BINARY}
        | problems(400, 401, 404, 409, 503),
    )
)
class ImagesZipView(CsvView):
    """All completed images in one ZIP, named by a pattern. 409 if two of them would get one name;
    an image that cannot be read is listed in missing.csv inside the ZIP."""

    prefix = "images-"
    media_type = "application/zip"

    def name_of(self, upload: ProcessingRequest) -> str:
        return f"{self.prefix}{PurePath(upload.file_name).stem}.zip"

    def chunks(self, upload: ProcessingRequest, request: Request) -> Iterator[bytes]:
        query = NamesSerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        try:
            return report.images_zip(upload, query.pattern(upload))
        except report.ZipRefusedError as error:
            raise Conflict(error.code, str(error)) from error


@extend_schema_view(get=extend_schema(operation_id="inputCsv", responses=CSV | XLSX))
class InputCsvView(CsvView):
    """The uploaded file, byte for byte, also where it is a workbook."""

    def name_of(self, upload: ProcessingRequest) -> str:
        return upload.file_name

    def media_type_of(self, upload: ProcessingRequest) -> str:
        return sheet.XLSX if upload.is_workbook else self.media_type

    def chunks(self, upload: ProcessingRequest, request: Request) -> Iterator[bytes]:
        return report.input_csv(upload)


@extend_schema_view(get=extend_schema(operation_id="failedCsv", responses=CSV))
class FailedCsvView(CsvView):
    """The rows with failed images, reduced to those images, and the rows that were skipped, to be
    fixed and uploaded again."""

    prefix = "failed-"

    def chunks(self, upload: ProcessingRequest, request: Request) -> Iterator[bytes]:
        return report.failed_csv(upload)


@extend_schema_view(get=extend_schema(operation_id="errorsCsv", responses=CSV))
class ErrorsCsvView(CsvView):
    """The errors of the rows that were skipped: row, line, column, value, code, message."""

    prefix = "errors-"

    def chunks(self, upload: ProcessingRequest, request: Request) -> Iterator[bytes]:
        return report.errors_csv(upload)
