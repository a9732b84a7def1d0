"""Examples of the OpenAPI document; a test validates them against its schemas."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample

from imageproc.api import shapes
from imageproc.api.openapi import PROBLEM_JSON

HOST = "https://images.example"
REQUEST_ID = "0193a4b2-7c51-7d2e-9f3a-5b1c2d3e4f50"
IMAGE_ID = "0193a4b2-7c6e-70aa-8b1d-9e8f7a6b5c4d"

_links: Any = {
    "status": f"{HOST}/api/status/{REQUEST_ID}",
    "outputCsv": f"{HOST}/api/requests/{REQUEST_ID}/output.csv",
    "inputCsv": f"{HOST}/api/requests/{REQUEST_ID}/input.csv",
    "failedCsv": f"{HOST}/api/requests/{REQUEST_ID}/failed.csv",
}
_output = f"{HOST}/api/images/{IMAGE_ID}/1-red-shoe-1-7a6b5c4d-9f86d081.jpg"
_input = "https://shop.example/red-shoe.png"

_accepted: shapes.Accepted = {
    "requestId": REQUEST_ID,
    "status": "PENDING",
    "message": "Accepted: 1 image of 1 product.",
    "totalProducts": 1,
    "totalImages": 1,
    "links": _links,
}
_rehearsal: shapes.Rehearsal = {
    "dryRun": True,
    "valid": True,
    "totalProducts": 1,
    "totalImages": 1,
    "hosts": [{"host": "shop.example", "images": 1}],
    "otherHostsImages": 0,
    "duplicateUrls": 0,
    "errors": [],
    "errorCount": 0,
    "errorKinds": [],
    "badRows": 0,
    "rowsWithoutImage": 0,
    "encoding": "utf-8",
    "columns": {
        "images": ["Image Src", "Variant Image"],
        "serial": "Handle",
        "name": "Title",
        "foundBy": "profile",
        "profile": "Shopify",
    },
    "rows": [
        {"line": 2, "serialNumber": "red-shoe", "productName": "Red Shoe", "imageUrls": [_input]}
    ],
    "notes": [],
}
_invalid: shapes.Problem = {
    "type": "about:blank",
    "title": "Bad Request",
    "status": 400,
    "code": "csv_invalid",
    "detail": "The file has 1 error; nothing was stored.",
    "errors": [
        {
            "line": 2,
            "column": "Product Name",
            "value": "",
            "code": "name_missing",
            "message": "The product has no name.",
            "row": 2,
        }
    ],
    "errorCount": 1,
    "errorKinds": [{"code": "name_missing", "message": "The product has no name.", "count": 1}],
}
_status: Any = {
    "requestId": REQUEST_ID,
    "status": "COMPLETED",
    "fileName": "products.csv",
    "message": "",
    "priority": "normal",
    "progress": 100.0,
    "totalProducts": 1,
    "totalImages": 1,
    "processedImages": 1,
    "completedImages": 1,
    "failedImages": 0,
    "cancelledImages": 0,
    "bytesIn": 245_310,
    "bytesOut": 21_639,
    "bytesSaved": 223_671,
    "imagesPerSecond": 1.25,
    "etaSeconds": None,
    "createdAt": "2026-01-15T09:30:00Z",
    "startedAt": "2026-01-15T09:30:00.2Z",
    "completedAt": "2026-01-15T09:30:01Z",
    "links": _links,
    "errors": [],
    "webhook": None,
    "products": [
        {
            "serialNumber": "1",
            "productName": "Red Shoe",
            "status": "COMPLETED",
            "inputImageUrls": [_input],
            "outputImageUrls": [_output],
            "images": [
                {
                    "imageId": IMAGE_ID,
                    "status": "COMPLETED",
                    "inputUrl": _input,
                    "outputUrl": _output,
                    "originalUrl": None,
                    "attempts": 1,
                    "inputSize": 245_310,
                    "outputSize": 21_639,
                    "compressionRatio": 0.0882,
                    "width": 800,
                    "height": 653,
                    "contentType": "image/jpeg",
                    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "error": None,
                }
            ],
        }
    ],
    "nextCursor": None,
}

ACCEPTED = OpenApiExample("Accepted", _accepted, response_only=True, status_codes=["202"])
REHEARSAL = OpenApiExample("Dry run", _rehearsal, response_only=True, status_codes=["200"])
STATUS = OpenApiExample("Completed", _status, response_only=True, status_codes=["200"])
CSV_INVALID = OpenApiExample(
    "A line with an error",
    _invalid,
    response_only=True,
    status_codes=["400"],
    media_type=PROBLEM_JSON,
)
