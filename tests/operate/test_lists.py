"""What the operators' lists read: one index each, whatever else is in the table."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from imageproc.models import ProcessingRequest, ProductImage
from imageproc.requests import report
from tests.support import build

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="the planner of PostgreSQL"),
]
ROWS = 20_000
ADMIN = "/admin/imageproc"


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def large() -> ProcessingRequest:
    """The middle one of three requests of 20,000 images in order: each state has some."""
    requests = [build.request(0, total_images=ROWS, total_products=ROWS) for _ in range(3)]
    with connection.cursor() as cursor:
        for request in requests:
            cursor.execute(FILL, [request.id, ROWS])
        cursor.execute(f"INSERT INTO imageproc_processingrequest {DONE}", [requests[0].id])
        cursor.execute(
            "ANALYZE imageproc_product, imageproc_productimage, imageproc_processingrequest"
        )
    return requests[1]


FILL = """
WITH made AS (
    INSERT INTO imageproc_product (id, request_id, row_number, serial_number, product_name)
    SELECT uuidv7(), %s, n, n::text, 'Shoe' FROM generate_series(1, %s) n
    RETURNING id, request_id, row_number)
INSERT INTO imageproc_productimage (
    id, product_id, request_id, position, input_url, host, status, error_code,
    lease_id, lease_until, output_key, output_sha256, output_size, width, height)
SELECT uuidv7(), id, request_id, 1, 'http://shop.example/', 'shop', state,
    CASE WHEN state = 'FAILED' THEN 'not_found' ELSE '' END,
    CASE WHEN state = 'PROCESSING' THEN uuidv7() END,
    CASE WHEN state = 'PROCESSING' THEN now() END, 'k', 'ab', 1, 1, 1
FROM (SELECT *, CASE row_number %% 20 WHEN 1 THEN 'FAILED' WHEN 2 THEN 'PROCESSING'
    WHEN 3 THEN 'CANCELLED' WHEN 4 THEN 'PENDING' ELSE 'COMPLETED' END AS state FROM made) made
ORDER BY row_number
"""
COLUMNS = [str(field.column) for field in ProcessingRequest._meta.fields]
# Copies of one request that ended well.
DONE = f"""({", ".join(COLUMNS)}) SELECT {
    ", ".join(
        {
            "id": "uuidv7()",
            "status": "'COMPLETED'",
            "output_csv": "'k'",
            "completed_images": "1",
            "completed_at": "now()",
            "idempotency_key": "NULL",
        }.get(name, name)
        for name in COLUMNS
    )
} FROM imageproc_processingrequest, generate_series(1, 10000) WHERE id = %s"""


def indexes(table: str, queries: CaptureQueriesContext) -> set[str]:
    """Those of ``table`` that the SELECTs read; none may read it from end to end."""
    found: set[str] = set()
    for query in list(queries.captured_queries):
        if f'FROM "{table}"' not in query["sql"] or not query["sql"].startswith("SELECT"):
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + query["sql"])
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert f"Seq Scan on {table}" not in plan, plan
        found |= set(re.findall(rf"using (\w+) on {table}\b", plan))
        found |= set(re.findall(r"Bitmap Index Scan on (\w+)", plan))
    return found


PATHS = {
    "": {"imageproc_productimage_pkey"},
    "?state=FAILED": {"image_failed_newest"},
    "?request__id__exact={}": {"image_in_order"},
    "?request__id__exact={}&state=PENDING": {"image_to_claim"},
    "?request__id__exact={}&state=COMPLETED": {"image_done"},
    # Either holds nothing but failures; which is cheaper depends on whose they are.
    "?request__id__exact={}&state=FAILED": {"image_failed", "image_failed_newest"},
    "?request__id__exact={}&state=CANCELLED": {"image_cancelled"},
    "?q={}": {"imageproc_productimage_pkey", "image_in_order"},
}


def test_images(root: Client, large: ProcessingRequest) -> None:
    for path, expected in PATHS.items():
        with CaptureQueriesContext(connection) as queries:
            page = root.get(f"{ADMIN}/productimage/{path.format(large.id)}")
        assert page.context["cl"].result_count > 0, path
        found = indexes("imageproc_productimage", queries)
        assert found, path
        assert found <= expected, path
    _pages_of_one_request_pass_by_the_others(large)


def _pages_of_one_request_pass_by_the_others(large: ProcessingRequest) -> None:
    """The gallery and the failures, asked for by its owner."""
    done = list(ProductImage.objects.filter(request=large, status="COMPLETED").order_by("id")[:30])
    with CaptureQueriesContext(connection) as queries:
        assert report.gallery_page(large).images == done[:24]
        report.gallery_page(large, number=500)
    assert indexes("imageproc_productimage", queries) <= {
        "image_done",
        "imageproc_productimage_pkey",
    }
    with CaptureQueriesContext(connection) as queries:
        images, _ = report.failed_images(large.id, "not_found")
    assert len(images) == 20
    assert indexes("imageproc_productimage", queries) == {"image_failed"}


def test_products_and_requests(root: Client, large: ProcessingRequest) -> None:
    for path, expected in {
        "product/": {"imageproc_product_pkey"},
        f"product/?request__id__exact={large.id}": {"product_row"},
        f"product/?q={large.id}": {"imageproc_product_pkey", "product_row"},
        "processingrequest/": {"imageproc_processingrequest_pkey"},
        "processingrequest/?status__exact=FAILED": {"request_status_newest"},
        "processingrequest/?priority__exact=high": {"request_priority_newest"},
    }.items():
        with CaptureQueriesContext(connection) as queries:
            assert root.get(f"{ADMIN}/{path}").status_code == 200
        assert indexes(f"imageproc_{path.split('/')[0]}", queries) == expected, path
