"""The README's pictures of the pages, taken from the real service: ``make screenshots``.

python -m tests.web.browser.screenshots FOLDER [PHOTOS]: the pictures of the catalogue are the JPEGs
of the folder PHOTOS where it has some, else drawn ones.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import FilePayload, Page, expect

from tests.support import pictures
from tests.support.origin import Origin
from tests.support.servers.service import Service
from tests.web.browser.chromium import PHONE, WIDE, Scheme, chromium, page_of

VISITORS: tuple[tuple[str, int, Scheme], ...] = (("", WIDE, "light"), ("-phone", PHONE, "dark"))

NAME = "Postcard no. {}"
PRODUCTS = 18
SHEET = "spring-collection.csv"


def main(folder: Path, photos: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    origin = Origin()
    origin.start()
    service = Service(origin.port, env={"LOG_LEVEL": "WARNING"})
    service.env["OUTBOUND_ALLOW_PORTS"] += f",{service.port}"  # for its sample
    service.start()
    try:
        with chromium() as browser:
            for suffix, width, scheme in VISITORS:
                with page_of(browser, width, scheme) as page:
                    _tour(page, service, _catalogue(origin, photos), folder, suffix)
    finally:
        service.stop()
        service.close()
        origin.stop()


def _catalogue(origin: Origin, photos: Path) -> bytes:
    """A spring collection, two of its links broken."""
    files = [path.read_bytes() for path in sorted(photos.glob("*.jpg"))]
    files = files or [pictures.jpeg(seed) for seed in range(1, 13)]
    rows = ["Serial Number,Product,Image Urls,Colour"]
    for place in range(PRODUCTS):
        url = origin.serve(
            f"/photo-{place + 1}.jpg", files[place % len(files)], content_type="image/jpeg"
        )
        rows.append(f"P{place + 1:03},{NAME.format(place + 1)},{url},natural")
    for missing in ("sold-out", "renamed"):
        rows.append(f"P9{len(rows):02},Postcard {missing},{origin.url}/{missing}.jpg,natural")
    return "\n".join([*rows, ""]).encode()


def _tour(page: Page, service: Service, sheet: bytes, folder: Path, suffix: str) -> None:
    page.goto(service.address)
    chosen: FilePayload = {"name": SHEET, "mimeType": "text/csv", "buffer": sheet}
    page.set_input_files("#file", [chosen])
    page.locator(".verdict.good").wait_for()
    _shoot(page, folder / f"upload{suffix}.png")
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Keep the originals").check()
    page.get_by_role("button", name="Start processing").click()
    page.locator("#progress[data-state=COMPLETED]").wait_for(timeout=60_000)
    page.wait_for_load_state("networkidle")
    _shoot(page, folder / f"request{suffix}.png")
    page.locator(".gallery a").nth(1).click()
    expect(page.locator(".compare-before")).to_have_js_property("complete", True)
    _shoot(page, folder / f"before-and-after{suffix}.png")


def _shoot(page: Page, path: Path) -> None:
    """The window as it is, in 256 colours: a third of the bytes."""
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else "photos"))
