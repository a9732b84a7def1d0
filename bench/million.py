"""`make bench-million`: a CSV of a million image URLs, with real rows and tiny pictures.

    python -m bench.million [--rows N]

Images are processed while the rows are written, and some thousands after that, to see what an image
costs among a million. The others are then marked as done, because a million exchanges with the
origin would only measure the origin.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import requests

from bench import inputs, table
from bench.__main__ import WORKERS, conditions, warm_up
from bench.budgets import of_a_million
from bench.ground import Ground, ground
from bench.output import output_speed
from bench.pages import EVERY, Pages
from bench.service import WORKER
from bench.shares import in_force

MILLION = 1_000_000
REFERENCE_ROWS = 10_000
# Images whose cost is compared, at the two sizes.
SUBSET = 2000
# Each page is asked for so often before its 95th percentile is taken.
ASKED = 40
UPLOAD = {"Content-Type": "text/csv"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=MILLION, help="fewer are a trial")
    options = parser.parse_args()
    found = conditions() | {"rows": options.rows}
    with (
        ground(WORKERS) as real,
        in_force(real) as found["shares"],
        tempfile.TemporaryDirectory() as folder,
    ):
        warm_up(real)
        found |= _reference(real)
        pages = Pages(real)
        sheet = Path(folder) / "million.csv"
        sheet.write_bytes(_sheet(real, options.rows))
        with _step("accepted"):
            found |= _accepted(real, sheet)
        request_id = found.pop("request_id")
        with _step("rows written"):
            found |= _ingested(real, pages, request_id)
        with _step("images after it"):
            found["image_ms_at_a_million"] = _cost(real, request_id)
        with _step("pages"):
            found |= _pages(pages, request_id)
        with _step("output"):
            real.service.stop()
            _mark_done(real, request_id)
            found |= output_speed(real.service, request_id)
    found["load_after"] = os.getloadavg()[0]
    table.keep("million" if options.rows == MILLION else "million-trial", found)
    table.write_page()
    for budget in of_a_million(found):
        print(budget)


@contextmanager
def _step(name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"{name}: {time.monotonic() - started:.1f} s", file=sys.stderr)


def _sheet(real: Ground, rows: int) -> bytes:
    return inputs.sheet_of(inputs.urls(real.near.url, list(inputs.small_pictures()), rows))


def _reference(real: Ground) -> dict[str, float]:
    """What an image costs among REFERENCE_ROWS."""
    request_id = real.service.upload(_sheet(real, REFERENCE_ROWS))["requestId"]
    cost = _cost(real, request_id)
    real.service.finish(request_id, seconds=600)
    return {"image_ms_at_ten_thousand": cost}


def _accepted(real: Ground, sheet: Path) -> dict[str, Any]:
    url = f"{real.service.address}/api/upload"
    with real.usage() as usage:
        started = time.monotonic()
        with sheet.open("rb") as file:
            headers = UPLOAD | real.service.headers
            answer = requests.post(url, data=file, headers=headers, timeout=600)
        seconds = time.monotonic() - started
    assert answer.status_code == 202, answer.text
    return {
        "request_id": answer.json()["requestId"],
        "accept_s": seconds,
        "accept_cpu_s": usage.cpu("service") - usage.cpu("service", WORKER),
        "web_peak_mb": _web_peak(real),
    }


def _web_peak(real: Ground) -> float:
    """High-water mark of the web processes, from the kernel."""
    peaks = [
        int(line.split()[1]) / 1000
        for process in psutil.Process(real.service.pid).children(recursive=True)
        if "gunicorn" in " ".join(process.cmdline())
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return max(peaks)


def _ingested(real: Ground, pages: Pages, request_id: str) -> dict[str, Any]:
    """Ask for status and list all the time until every row is there."""
    query = (
        "SELECT total_products, extract(epoch FROM ingested_at - started_at),"
        " extract(epoch FROM ingested_at - (SELECT min(finished_at)"
        "  FROM imageproc_productimage WHERE request_id = r.id)), completed_images"
        " FROM imageproc_processingrequest r WHERE id = %s AND ingested_at IS NOT NULL"
    )
    with _connection(real) as connection, real.usage() as usage:
        while (row := connection.execute(query, [request_id]).fetchone()) is None:
            pages.ask(request_id, "status", "list")
            time.sleep(0.1)
    rows, seconds, ahead, images = row
    return {
        "ingest_rows_s": float(rows / seconds),
        "ingest_python_ms_a_row": usage.cpu("service", "control.worker") / rows * 1000,
        "images_while_ingesting": images,
        # Ingest's own and the images' together: which backend did what is not known.
        "ingest_postgres_ms_a_row": usage.cpu("postgres") / rows * 1000,
        "first_image_before_ingest_end_s": float(ahead),
    } | pages.p95("ingesting_")


def _pages(pages: Pages, request_id: str) -> dict[str, float]:
    for _ in range(ASKED):
        pages.ask(request_id, *EVERY)
    return pages.p95()


def _cost(real: Ground, request_id: str) -> float:
    """CPU ms an image of workers and database, over SUBSET images of a request in progress.

    The vacuum and the checkpoint that the ingest made necessary run before it is measured.
    """

    def done() -> int:
        return int(real.service.status(request_id, limit="1")["processedImages"])

    while (before := done()) < SUBSET / 4:
        time.sleep(0.2)
    with _connection(real) as connection:
        connection.execute("VACUUM ANALYZE imageproc_product, imageproc_productimage")
        connection.execute("CHECKPOINT")
    before = done()
    with real.usage() as usage:
        while (now := done()) < before + SUBSET:
            time.sleep(0.2)
    cpu = usage.cpu("service", WORKER) + usage.cpu("postgres")
    return cpu / (now - before) * 1000


def _mark_done(real: Ground, request_id: str) -> None:
    """As if every image had been processed."""
    with _connection(real) as connection:
        connection.execute(
            "UPDATE imageproc_productimage i SET status = 'COMPLETED', lease_id = NULL,"
            " lease_until = NULL, output_sha256 = repeat('a', 64), output_size = 1, width = 1,"
            " height = 1, error_code = '', finished_at = now(), output_key = i.request_id || '/' ||"
            "  p.row_number || '-product-1-' || right(i.id::text, 8) || '-aaaaaaaa.jpg'"
            " FROM imageproc_product p"
            " WHERE p.id = i.product_id AND i.request_id = %s AND i.status <> 'COMPLETED'",
            [request_id],
        )
        connection.execute("VACUUM ANALYZE imageproc_productimage")


def _connection(real: Ground) -> psycopg.Connection[Any]:
    return psycopg.connect(real.service.env["DATABASE_URL"], autocommit=True)


if __name__ == "__main__":
    main()
