"""What each hot query reads: by its own index, so that it costs the same at a million rows.

One query that read the whole table made a claim cost 0.3 s at a million rows, and nothing at ten.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from imageproc.images.claim import claim, has_due
from imageproc.images.record import record
from imageproc.intake import ingest as ingestion
from imageproc.models import ImageStatus, ProcessingRequest, ProductImage
from imageproc.requests import report
from imageproc.requests.report.output import _images
from tests.support import build

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="the planner of PostgreSQL"),
]


def work(request: ProcessingRequest) -> None:
    record([build.done(job) for job in claim(workers=2)])


def pages(request: ProcessingRequest) -> None:
    report.product_page(request.id, limit=50)


def gallery(request: ProcessingRequest) -> None:
    report.gallery_page(request)


def output(request: ProcessingRequest) -> None:
    assert len(list(_images(request))) == 20000


@pytest.fixture
def fresh() -> ProcessingRequest:
    """20,000 images among 20,000 of another request, of which the planner knows nothing yet."""
    other, request = build.request(0), build.request(0, total_images=20000, total_products=20000)
    with connection.cursor() as cursor:
        for of in (other, request):
            cursor.execute(
                "WITH p AS (INSERT INTO imageproc_product"
                " (id, request_id, row_number, serial_number, product_name)"
                " SELECT gen_random_uuid(), %s, n, n::text, 'Shoe' FROM generate_series(1, 20000) n"
                " RETURNING id, request_id)"
                " INSERT INTO imageproc_productimage"
                " (id, product_id, request_id, position, input_url, host) SELECT"
                " gen_random_uuid(), id, request_id, 1, 'http://shop.example/', 'shop' FROM p",
                [of.id],
            )
    ProcessingRequest.objects.filter(id=other.id).update(status="PENDING")
    return request


@pytest.fixture
def large(fresh: ProcessingRequest) -> ProcessingRequest:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE imageproc_product, imageproc_productimage")
    return fresh


def test_each_reads_an_index_of_its_own(
    large: ProcessingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imageproc.requests.report.output.PAGE", 50)  # as 2,000 of 1,600,000
    # By their ids, or by request and id: the planner finds the claimed rows either way.
    by_id = _indexes(work, large) - {"image_in_order"}
    assert by_id == {"image_to_claim", "imageproc_productimage_pkey"}
    assert ProductImage.objects.filter(status=ImageStatus.COMPLETED).count() == 50
    assert _indexes(lambda _: has_due(), large) == {"image_to_claim"}
    assert _indexes(pages, large) == {"image_position"}
    # The ids of the page by the one, its rows by the other.
    assert _indexes(gallery, large) == {"image_done", "imageproc_productimage_pkey"}
    assert _indexes(output, large) == {"image_position"}


def test_a_page_does_so_before_the_planner_knows_the_rows(fresh: ProcessingRequest) -> None:
    """PostgreSQL looks at new rows once a minute; an ingest writes half a million in it, and they
    are polled. A list of product ids made it read all of them: 128 ms at 400,000."""
    assert _indexes(pages, fresh) == {"image_position"}


def test_and_while_an_ingest_outgrows_what_the_planner_has_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Row numbers up to 50 were a quarter of all that there were."""
    monkeypatch.setattr(ingestion, "CHUNK", 200)
    monkeypatch.setattr(ingestion, "SHOW_AFTER", 1000)
    rows = (b"%d,Shoe,http://shop.example/%d.jpg\n" % (n, n) for n in range(1, 20001))
    request = build.accepted(b"S. No.,Product Name,Input Image Urls\n" + b"".join(rows))
    chunks = itertools.count()
    with connection.cursor() as cursor:  # empty pages of other tests are no growth
        cursor.execute("TRUNCATE imageproc_product, imageproc_productimage CASCADE")

    def autovacuum() -> bool:
        if next(chunks) == 1:
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE imageproc_product, imageproc_productimage")
        return False

    assert ingestion.ingest(request.id, stop=autovacuum) == 20000
    assert _indexes(pages, request) == {"image_position"}


def _indexes(act: Callable[[ProcessingRequest], object], request: ProcessingRequest) -> set[str]:
    """What the statements on the images' table read; none may read it from end to end."""
    with CaptureQueriesContext(connection) as queries:
        act(request)
    plans = [
        _plan(query["sql"])
        for query in queries.captured_queries
        if "imageproc_productimage" in query["sql"]
        and query["sql"].startswith(("SELECT", "UPDATE"))
    ]
    assert not [plan for plan in plans if "Seq Scan on imageproc_productimage" in plan]
    found = {name for plan in plans for name in re.findall(r"(?:using|Index Scan on) (\w+)", plan)}
    return {name for name in found if "image_" in name or "productimage" in name}


def _plan(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + sql)
        plan = "\n".join(row[0] for row in cursor.fetchall())
    print(sql, plan, sep="\n")  # seen when the test fails
    return plan
