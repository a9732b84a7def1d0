"""`make bench-million`: a CSV of a million image URLs, with real rows and tiny pictures.

    python -m bench.million [--rows N]

The images are processed while the ingest runs; once the rows are measured the request is cancelled,
for a million exchanges with the origin would only measure the origin.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil
import psycopg
import requests

from bench import inputs, table
from bench.__main__ import WORKERS, conditions, warm_up
from bench.ground import Ground, ground
from bench.output import output_speed
from bench.service import WORKER

REFERENCE_ROWS = 10_000
# Images whose cost is compared, at the two sizes.
SUBSET = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    found = conditions() | {"rows": options.rows}
    with ground(WORKERS) as real, tempfile.TemporaryDirectory() as folder:
        warm_up(real)
        names = list(inputs.small_pictures())
        sheet = Path(folder) / "million.csv"
        small = inputs.sheet_of(inputs.urls(real.near.url, names, REFERENCE_ROWS))
        request_id = real.service.upload(small)["requestId"]
        found["image_ms_at_ten_thousand"] = _cost(real, request_id)
        real.service.finish(request_id, seconds=600)
        sheet.write_bytes(inputs.sheet_of(inputs.urls(real.near.url, names, options.rows)))
        found |= _ingested(real, sheet)
        found["image_ms_at_a_million"] = _cost(real, found["request_id"])
        found |= output_speed(real.service, found.pop("request_id"))
    found["load_after"] = os.getloadavg()[0]
    table.keep("million", found)
    table.write_page()


def _ingested(real: Ground, sheet: Path) -> dict[str, Any]:
    """Upload, and ask for status and list all the time until every row is there."""
    service = real.service
    with real.usage() as usage:
        started = time.monotonic()
        with sheet.open("rb") as file:
            answer = requests.post(
                f"{service.address}/api/upload",
                data=file,
                headers={"Content-Type": "text/csv"},
                timeout=600,
            )
        accept = time.monotonic() - started
        accept_cpu = usage.cpu("service") - usage.cpu("service", WORKER)
        web_peak = _web_peak(real)
        assert answer.status_code == 202, answer.text
        request_id = answer.json()["requestId"]
        print(f"accepted in {accept:.1f} s", file=sys.stderr)
        before = usage.cpu("service", "control.worker")
        asked = _ask_until_ingested(real, request_id)
    ingest_cpu = usage.cpu("service", "control.worker") - before
    with psycopg.connect(service.env["DATABASE_URL"]) as connection:
        row = connection.execute(
            "SELECT r.total_products, extract(epoch FROM r.ingested_at - r.started_at),"
            " extract(epoch FROM r.ingested_at - (SELECT min(finished_at) FROM"
            "  imageproc_productimage WHERE request_id = r.id AND finished_at IS NOT NULL))"
            " FROM imageproc_processingrequest r WHERE id = %s",
            [request_id],
        ).fetchone()
    assert row is not None
    return {
        "request_id": request_id,
        "accept_s": accept,
        "accept_cpu_s": accept_cpu,
        "web_peak_mb": web_peak,
        "ingest_rows_s": float(row[0] / row[1]),
        "ingest_rows_cpu_s": float(row[0]) / ingest_cpu,
        "first_image_before_ingest_end_s": float(row[2]),
        **asked,
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


def _ask_until_ingested(real: Ground, request_id: str) -> dict[str, float]:
    address = real.service.address
    took: dict[str, list[float]] = {"status": [], "list": []}
    session = requests.Session()
    with psycopg.connect(real.service.env["DATABASE_URL"], autocommit=True) as connection:
        query = "SELECT ingested_at IS NULL FROM imageproc_processingrequest WHERE id = %s"
        while connection.execute(query, [request_id]).fetchone() == (True,):
            took["status"].append(
                _ms(lambda: session.get(f"{address}/api/status/{request_id}", timeout=60))
            )
            took["list"].append(_ms(lambda: session.get(f"{address}/api/requests", timeout=60)))
            time.sleep(0.1)
    return {f"{name}_p95_ms": quantiles(each, n=20)[-1] for name, each in took.items()}


def _ms(call: Callable[[], requests.Response]) -> float:
    started = time.monotonic()
    call().raise_for_status()
    return (time.monotonic() - started) * 1000


def _cost(real: Ground, request_id: str) -> float:
    """CPU ms an image of workers and database, over SUBSET images of a request in progress."""

    def done() -> int:
        return int(real.service.status(request_id, limit="1")["processedImages"])

    while (before := done()) < SUBSET:
        time.sleep(0.2)
    with real.usage() as usage:
        while (now := done()) < before + SUBSET:
            time.sleep(0.2)
    cpu = usage.cpu("service", WORKER) + usage.cpu("postgres")
    return cpu / (now - before) * 1000


if __name__ == "__main__":
    main()
