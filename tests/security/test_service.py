"""The real service, with keys, under hostile input: what it refuses, costs and says."""

from __future__ import annotations

import csv
import io
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from PIL import Image

from tests.images.compress.files import png_chunk
from tests.support import pictures
from tests.support.origin import Origin
from tests.support.servers.service import Service

pytestmark = pytest.mark.timeout(300)
MB = 1_000_000
SECRET = "Zm9yLXRlc3RzLW9ubHktYnV0LXdpdGgtbWFueS1kaWZmZXJlbnQtbGV0dGVycy0x"
TOKEN, PASSWORD = "tok-5up3rs3cr3t", "hunter2-in-a-url"
CPU_SECONDS, WORKER_BYTES = 10.0, 512 * 1024**2


class Guarded(Service):
    """As in production: nobody comes in without a key."""

    key = ""

    def call(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        headers = self.headers | kwargs.pop("headers", {})
        return requests.request(
            method, f"{self.address}{path}", headers=headers, timeout=60, **kwargs
        )

    def process(self, urls: list[str]) -> dict[str, Any]:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["S. No.", "Product Name", "Input Image Urls"])
        writer.writerows([number, "Shoe", url] for number, url in enumerate(urls, 1))
        return self.finish(self.upload(text.getvalue())["requestId"], 240)

    def workers(self) -> list[psutil.Process]:
        """Every process below the service that is no web server."""
        found = psutil.Process(self.pid).children(recursive=True)
        return [one for one in found if "worker" in " ".join(one.cmdline())]


@pytest.fixture(scope="module")
def service(origin_server: Origin) -> Iterator[Guarded]:
    guarded = Guarded(
        origin_server.port,
        env={
            **{"SECRET_KEY": SECRET, "HTTPS": "false", "MAX_UPLOAD_BYTES": str(5 * MB)},
            "OUTBOUND_ALLOW_PORTS": f"80,443,{origin_server.port}",
        },
    )
    guarded.start()
    guarded.key = guarded.use_a_key()
    yield guarded
    guarded.stop()
    guarded.close()


def reasons(told: dict[str, Any]) -> list[str | None]:
    images = [product["images"][0] for product in told["products"]]
    return [image["error"] and image["error"]["code"] for image in images]


def test_redirects_to_forbidden_addresses_fail_in_the_pipeline(
    service: Guarded, origin: Origin
) -> None:
    aims = [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://192.168.0.1:22/",
        "http://2130706433/",
        "file:///etc/passwd",
        f"http://user:{PASSWORD}@127.0.0.1:{origin.port}/",
    ]
    urls = [
        origin.serve(f"/moved-{number}", status=302, headers={"Location": aim})
        for number, aim in enumerate(aims)
    ]
    told = service.process(urls)
    assert told["status"] == "FAILED"
    assert reasons(told) == [
        *["address_forbidden"] * 4,
        "port_forbidden",
        *["url_invalid"] * 3,
    ]


def flat_png(width: int, height: int) -> bytes:
    """A whole, valid picture: 150 MB of pixels in 150 kB."""
    head = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 2, 0, 0, 0])
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * width)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    chunks = png_chunk(b"IHDR", head) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def scan_bomb(scans: int) -> bytes:
    whole = pictures.encoded(pictures.draw(3, (2000, 1500)), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:-2] + whole[last:-2] * scans + b"\xff\xd9"


def bombs() -> dict[str, tuple[bytes, str | None]]:
    """Name → (file, the reason for which it must fail; None: it is made)."""
    wide = Image.new("RGB", (16383, 2600), (200, 30, 30))
    many = Image.new("L", (7000, 7000))
    return {
        "flat-50-megapixels.png": (flat_png(8000, 6250), None),
        "flat-51-megapixels.png": (flat_png(8000, 6376), "too_many_pixels"),
        "widest.webp": (pictures.encoded(wide, "WEBP", quality=10), None),
        "scans.jpg": (scan_bomb(400), "too_complex"),
        "progressive.jpg": (pictures.encoded(many, "JPEG", progressive=True), None),
        "bits.tiff": (pictures.encoded(many, "TIFF", compression="tiff_deflate"), None),
    }


def test_the_worst_images_stay_within_the_budget_of_one(service: Guarded, origin: Origin) -> None:
    made = bombs()
    urls = [origin.serve(f"/{name}", data) for name, (data, _) in made.items()]
    before = {process.pid: sum(process.cpu_times()[:2]) for process in service.workers()}
    peak, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            for process in service.workers():
                peak[0] = max(peak[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        found = [reason for url in urls for reason in reasons(service.process([url]))]
    finally:
        ended.set()
        watcher.join()

    assert dict(zip(made, found, strict=True)) == {
        name: reason for name, (_, reason) in made.items()
    }
    after = {process.pid: sum(process.cpu_times()[:2]) for process in service.workers()}
    assert set(after) == set(before)  # nobody died
    assert sum(after.values()) - sum(before.values()) < CPU_SECONDS * len(made)
    assert peak[0] < WORKER_BYTES, f"{peak[0] / MB:.0f} MB"
    with sqlite3.connect(f"file:{service.folder / 'data' / 'imageproc.sqlite3'}?mode=ro") as rows:
        query = "SELECT max(compress_ms), max(lost_count), count(*) FROM imageproc_productimage"
        slowest, lost, images = rows.execute(query).fetchone()
    assert lost == 0
    assert images >= len(made)
    assert slowest < 1000 * CPU_SECONDS


def test_no_log_holds_a_secret(service: Guarded, origin: Origin) -> None:
    """URLs with tokens, keys and wrong keys, a password, a webhook: then every log is read."""
    url = origin.serve("/signed.jpg", pictures.jpeg(1, (300, 200)))
    gone = f"{origin.url}/status/404?token={TOKEN}"
    told = service.process([f"{url}?token={TOKEN}", gone])
    assert reasons(told) == [None, "not_found"]
    assert TOKEN not in str(told["errors"])
    service.call("GET", f"/api/requests?token={TOKEN}")
    wrong = {"Authorization": f"Bearer ip_{TOKEN}"}
    assert service.call("GET", "/api/requests", headers=wrong).status_code == 401
    refused = {"file": ("x.csv", f"a,b,c\n1,2,http://u:{PASSWORD}@8.8.8.8/?token={TOKEN}\n")}
    assert service.call("POST", "/api/upload", files=refused).status_code == 400
    with requests.Session() as browser:
        browser.get(f"{service.address}/sign-in/", timeout=30)
        form = {"username": "olga", "password": PASSWORD}
        form["csrfmiddlewaretoken"] = browser.cookies["csrftoken"]
        assert browser.post(f"{service.address}/sign-in/", form, timeout=30).status_code == 200
    logs = [service.log, *Path(service.folder).rglob("*.log")]
    said = "".join(path.read_text(errors="replace") for path in logs)
    assert "request_finished" in said
    for secret in (TOKEN, PASSWORD, SECRET, service.key, "whsec_"):
        assert secret not in said


def test_a_too_long_upload_is_told_so(service: Guarded) -> None:
    """Though the service reads none of it."""
    answer = service.call(
        "POST", "/api/upload", data=bytes(12 * MB), headers={"Content-Type": "text/csv"}
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "upload_too_large")


def test_a_chunked_upload_is_told_what_is_missing(service: Guarded) -> None:
    answer = service.call(
        "POST", "/api/upload", data=iter([b"a,b"]), headers={"Content-Type": "text/csv"}
    )
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")
