"""How long writes wait while `manage.py prepare` migrates a million images.

    python -m bench.migrations [--rows N]

The rows are those of the first version. While it migrates, a client inserts and updates without a
pause, alone first; then beside a report that reads the images for three seconds at a time, behind
which a change of a table has to wait. Prints a table, which stands in docs/operations.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg

from bench.ground import ROOT
from tests.support.servers.postgres import Postgres

MILLION = 1_000_000
IMAGES_A_PRODUCT = 10_000
REPORT_SECONDS, PAUSE_SECONDS = 3.0, 0.5

REQUEST = uuid4()
# Every image of the fill is done, and as wide as images are.
FILL = """
INSERT INTO auth_user (id, username, password, first_name, last_name, email, is_superuser,
    is_staff, is_active, date_joined)
VALUES (1, 'bench', '', '', '', '', false, false, true, now());
INSERT INTO imageproc_processingrequest (id, file_name, input_csv, output_csv, sheet, status,
    priority, recipe, store_originals, total_products, total_images, ingested_products,
    ingest_attempts, completed_images, failed_images, cancelled_images, bytes_in, bytes_out,
    base_url, webhook_url, error_message, idempotency_digest, reopened, owner_id, started_at)
VALUES ('{request}', 'in.csv', 'in.csv', '', '{{}}', 'PROCESSING', 'normal', '{{}}', false,
    {products}, {rows}, 0, 0, 0, 0, 0, 0, 0, 'http://127.0.0.1', '', '', '', 0, 1, now());
INSERT INTO imageproc_product (id, row_number, serial_number, product_name, request_id)
SELECT gen_random_uuid(), n, n, 'Product ' || n, '{request}' FROM generate_series(1, {products}) n;
INSERT INTO imageproc_productimage (id, product_id, request_id, position, input_url, host, status,
    attempts, output_key, output_size, output_sha256, width, height, content_type, input_size)
SELECT gen_random_uuid(), p.id, '{request}', n, 'https://images.shop.example/' || n || '.jpg',
    'images.shop.example', 'COMPLETED', 1, '{request}/' || p.row_number || '-' || n || '.jpg', 9000,
    repeat('0123456789abcdef', 4), 800, 600, 'image/jpeg', 200000
FROM imageproc_product p, generate_series(1, {each}) n;
ANALYZE;
"""
# What workers and the ingest do all the time, in statements that every version understands.
WRITES = (
    "INSERT INTO imageproc_productimage (id, product_id, request_id, position, input_url, host)"
    " SELECT gen_random_uuid(), id, request_id, 20000 + {n}, 'https://a.example/', 'a.example'"
    " FROM imageproc_product WHERE row_number = 1",
    "UPDATE imageproc_productimage SET attempts = attempts + 1"
    " WHERE product_id = (SELECT id FROM imageproc_product WHERE row_number = 1)"
    " AND position = 20000 + {n}",
    "UPDATE imageproc_processingrequest SET completed_images = completed_images + 1",
)
REPORT = "SELECT count(*) FROM imageproc_productimage JOIN imageproc_processingrequest r ON true"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=MILLION, help="fewer are a trial")
    rows = parser.parse_args().rows
    postgres = Postgres(durable=True)
    postgres.start()
    first = postgres.new_database()
    _manage(first, "migrate", "--verbosity=0")
    _manage(first, "migrate", "imageproc", "0001", "--verbosity=0")
    products = max(1, rows // IMAGES_A_PRODUCT)
    with psycopg.connect(first) as connection:
        values = {"request": REQUEST, "rows": rows, "products": products, "each": rows // products}
        connection.execute(FILL.format(**values).encode())
    template = first.rpartition("/")[2]
    alone = _measure(postgres.new_database(template), report=False)
    beside = _measure(postgres.new_database(template), report=True)
    print("| migration | longest wait, alone | beside a report of 3 s |\n| --- | ---: | ---: |")
    for name in alone:
        print(f"| `{name}` | {alone[name] * 1000:.0f} ms | {beside[name] * 1000:.0f} ms |")
    postgres.close()


def _manage(url: str, *command: str) -> None:
    with tempfile.TemporaryDirectory() as data:
        (Path(data) / "files").mkdir()
        (Path(data) / "files" / ".partial-mark").touch()  # a storage that was in use
        env = {**os.environ, "DATABASE_URL": url, "DATA_DIR": data, "ENV_FILE": os.devnull}
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=env, check=True)


def _measure(url: str, *, report: bool) -> dict[str, float]:
    """Migration → the longest time in seconds that one write took while it ran."""
    writes: list[tuple[float, float]] = []  # when it began, how long it took
    began = time.monotonic()
    with _meanwhile(_write, url, writes), _meanwhile(_read, url, report):
        _manage(url, "prepare", "--verbosity=0")
    print(f"{time.monotonic() - began:.0f} s, {len(writes)} writes", file=sys.stderr)
    sql = "SELECT name, extract(epoch FROM applied) FROM django_migrations WHERE app = 'imageproc'"
    with psycopg.connect(url) as connection:
        applied = [(n, float(at)) for n, at in connection.execute(sql + " ORDER BY id").fetchall()]
    waits = dict.fromkeys((name for name, _ in applied[1:]), 0.0)
    for at, took in writes:
        name = next((name for name, end in applied[1:] if at <= end), None)
        if name:
            waits[name] = max(waits[name], took)
    return waits


@contextmanager
def _meanwhile(work: Callable[..., None], *arguments: object) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=work, args=[*arguments, stop])
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _write(url: str, writes: list[tuple[float, float]], stop: threading.Event) -> None:
    number = 0
    with psycopg.connect(url, autocommit=True) as connection:
        while not stop.is_set():
            number += 1
            for statement in WRITES:
                at, began = time.time(), time.monotonic()
                connection.execute(statement.format(n=number).encode())
                writes.append((at, time.monotonic() - began))
            time.sleep(0.005)


def _read(url: str, wanted: bool, stop: threading.Event) -> None:
    with psycopg.connect(url) as connection:
        while wanted and not stop.is_set():
            connection.execute(REPORT.encode())
            stop.wait(REPORT_SECONDS)
            connection.rollback()
            stop.wait(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
