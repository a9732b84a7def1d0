"""What people and programs read about requests: status, products, output CSV. Changes nothing."""

from imageproc.images.store import StoreError
from imageproc.requests.report.failures import FailureGroup, failed_images, failure_groups
from imageproc.requests.report.gallery import (
    GALLERY_SIZE,
    GalleryFilter,
    GalleryPage,
    gallery_page,
    neighbours,
    open_original,
    original_type,
    originals_size,
)
from imageproc.requests.report.hosts import waiting_images
from imageproc.requests.report.image_cache import open_image
from imageproc.requests.report.images_zip import ZipRefusedError, images_zip
from imageproc.requests.report.links import (
    Address,
    Links,
    image_addresses,
    image_url,
    links_of,
    name_of,
    original_url,
    output_url,
)
from imageproc.requests.report.manifest import manifest
from imageproc.requests.report.output import (
    NO_IMAGE,
    Form,
    errors_csv,
    failed_csv,
    form_of,
    input_csv,
    output_file,
)
from imageproc.requests.report.products import (
    MAX_PAGE_SIZE,
    PAGE_SIZE,
    Listed,
    ListedImage,
    ProductPage,
    product_page,
)
from imageproc.requests.report.status import (
    Progress,
    RequestPage,
    StatusReport,
    deliveries_of,
    mail_of,
    progress_of,
    request_page,
    standstill,
    status_of,
    webhook_of,
)

__all__ = [
    "GALLERY_SIZE",
    "MAX_PAGE_SIZE",
    "NO_IMAGE",
    "PAGE_SIZE",
    "Address",
    "FailureGroup",
    "Form",
    "GalleryFilter",
    "GalleryPage",
    "Links",
    "Listed",
    "ListedImage",
    "ProductPage",
    "Progress",
    "RequestPage",
    "StatusReport",
    "StoreError",
    "ZipRefusedError",
    "deliveries_of",
    "errors_csv",
    "failed_csv",
    "failed_images",
    "failure_groups",
    "form_of",
    "gallery_page",
    "image_addresses",
    "image_url",
    "images_zip",
    "input_csv",
    "links_of",
    "mail_of",
    "manifest",
    "name_of",
    "neighbours",
    "open_image",
    "open_original",
    "original_type",
    "original_url",
    "originals_size",
    "output_file",
    "output_url",
    "product_page",
    "progress_of",
    "request_page",
    "standstill",
    "status_of",
    "waiting_images",
    "webhook_of",
]
