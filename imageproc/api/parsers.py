"""Parses an upload that is the request's body, not a form."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from typing import IO, Any

from django.core.files.uploadedfile import UploadedFile
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser, DataAndFiles, MultiPartParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from imageproc.sheet import XLSX

SPOOL_BYTES = 2_500_000
CHUNK = 65_536


class CsvBodyParser(BaseParser):
    """``Content-Type: text/csv``; the options come in the query string. Only the file itself says
    what it is."""

    media_type = "text/csv"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> DataAndFiles[Any, Any]:
        """Returns the body as the file "file"; beyond SPOOL_BYTES it is on disk."""
        spool = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115
        size = 0
        while chunk := stream.read(CHUNK):
            spool.write(chunk)
            size += len(chunk)
        spool.seek(0)
        query = parser_context["request"].query_params if parser_context else {}
        file = UploadedFile(file=spool, name="upload.csv", size=size)
        return DataAndFiles(query, {"file": file})


class FirstFormat(DefaultContentNegotiation):
    """Answers in the view's first format.

    REST framework takes ``format`` in a query for the format of the answer; in the query of an
    upload it is an option.
    """

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        first = next(iter(renderers))
        return first, str(first.media_type)


class XlsxBodyParser(CsvBodyParser):
    media_type = XLSX


UPLOAD_PARSERS = [MultiPartParser, CsvBodyParser, XlsxBodyParser]
