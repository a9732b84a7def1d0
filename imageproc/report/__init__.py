"""A request, told: status, pages of products, the output CSV. Reads only."""

from imageproc.pipeline.store import StoreError
from imageproc.report.links import image_url, links_of
from imageproc.report.output import failed_csv, input_csv, open_image, output_csv
from imageproc.report.status import (
    MAX_PAGE_SIZE,
    PAGE_SIZE,
    ProductPage,
    StatusReport,
    product_page,
    status_of,
)

__all__ = [
    "MAX_PAGE_SIZE",
    "PAGE_SIZE",
    "ProductPage",
    "StatusReport",
    "StoreError",
    "failed_csv",
    "image_url",
    "input_csv",
    "links_of",
    "open_image",
    "output_csv",
    "product_page",
    "status_of",
]
