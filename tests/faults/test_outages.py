"""Outages that only have to be waited out, with the whole service running."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import requests

from tests.support import pictures
from tests.support.origin import Origin
from tests.support.proxy import Proxy
from tests.support.servers.postgres import Postgres
from tests.support.servers.rclone import Rclone
from tests.support.servers.service import Service
from tests.workers.harness import wait_for

IMAGES = 20


@pytest.fixture
def shop() -> Iterator[Origin]:
    origin = Origin()
    origin.start()
    origin.serve("/1.jpg", pictures.jpeg(1, (240, 200)), content_type="image/jpeg")
    yield origin
    origin.stop()


def sheet(shop: Origin, images: int) -> str:
    rows = (f"{number},Shoe,{shop.url}/1.jpg?{number}\n" for number in range(images))
    return "S. No.,Product Name,Input Image Urls\n" + "".join(rows)


def upload(service: Service, file: str) -> requests.Response:
    files = {"file": ("products.csv", file, "text/csv")}
    return requests.post(f"{service.address}/api/upload", files=files, timeout=60)


def test_the_database_goes_away_between_storing_and_committing(
    postgres: Postgres, rclone: Rclone, shop: Origin
) -> None:
    bucket, proxy = rclone.new_bucket(), Proxy(rclone.endpoint, delay=3)
    url = postgres.migrated_database()
    storage = bucket.environ | {"S3_ENDPOINT_URL": proxy.endpoint}
    env = {"DATABASE_URL": url, "TICK_SECONDS": "0.5", **storage}
    service = Service(shop.port, env=env)
    service.start()
    try:
        proxy.mode = "slow"
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(upload, service, sheet(shop, 3))
            wait_for(lambda: proxy.hit)
            postgres.stop()
            refused = answer.result()
        proxy.mode = "pass"
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
        assert refused.json()["code"] == "database_unavailable"
        [orphan] = inputs(bucket.objects())
        page = requests.get(f"{service.address}/requests/", timeout=30)
        assert (page.status_code, page.headers["Retry-After"]) == (503, "30")
        postgres.start()
        taken = wait_for(lambda: accepted(service, sheet(shop, 3)), 60)
        assert service.finish(taken)["status"] == "COMPLETED"
        assert orphan in inputs(bucket.objects())
        with psycopg.connect(url) as connection:
            connection.execute(
                "UPDATE imageproc_pendingupload SET created_at = now() - interval '61 minutes'"
            )
        wait_for(lambda: inputs(bucket.objects()) == [f"{taken}/input.csv"], 30)
        with psycopg.connect(url) as connection:
            left = connection.execute("SELECT count(*) FROM imageproc_pendingupload").fetchone()
        assert left == (0,)
    finally:
        service.stop()
        service.close()
        proxy.close()


def accepted(service: Service, file: str) -> str | None:
    answer = upload(service, file)
    return str(answer.json()["requestId"]) if answer.status_code == 202 else None


def inputs(keys: dict[str, bytes]) -> list[str]:
    return sorted(key for key in keys if key.endswith("/input.csv"))


@pytest.mark.parametrize("kind", ["s3", "files"])
def test_a_bucket_or_mount_that_is_away_is_waited_for(
    kind: str, rclone: Rclone, shop: Origin
) -> None:
    bucket, proxy = rclone.new_bucket(), Proxy(rclone.endpoint)
    storage = bucket.environ | {"S3_ENDPOINT_URL": proxy.endpoint} if kind == "s3" else {}
    service = Service(shop.port, env={"TICK_SECONDS": "0.5", **storage})
    files = Path(service.env["DATA_DIR"]) / "files"
    service.start()
    try:
        waiting = accepted(service, sheet(shop, IMAGES))
        assert waiting is not None
        with away(proxy if kind == "s3" else files):
            time.sleep(3)
            assert service.status(waiting, limit="1")["status"] in ("PENDING", "PROCESSING")
            assert requests.get(f"{service.address}/readyz", timeout=30).status_code == 503
            refused = upload(service, sheet(shop, 1))
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
        state = service.finish(waiting, 180)
        assert (state["status"], state["processedImages"]) == ("COMPLETED", IMAGES)
        assert state["failedImages"] == 0
    finally:
        service.stop()
        service.close()
        proxy.close()


@contextmanager
def away(storage: Proxy | Path) -> Iterator[None]:
    """No such bucket, or a volume that is not mounted: its folder is empty."""
    if isinstance(storage, Proxy):
        storage.mode = "missing"
        yield
        storage.mode = "pass"
    else:
        kept = storage.rename(storage.with_name("away"))
        storage.mkdir()
        yield
        storage.rmdir()
        kept.rename(storage)
