"""A file whose header nobody knows, and a file with bad rows, on the page."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.support.origin import Origin
from tests.support.servers.service import Service
from tests.web.browser.chromium import overflows
from tests.web.browser.conftest import file, finished

SHOTS = os.environ.get("SCREENSHOTS")


def shot(page: Page, name: str) -> None:
    """Kept for a look at it, where a folder is named."""
    if SHOTS and page.viewport_size:
        path = Path(SHOTS) / f"{name}-{page.viewport_size['width']}.png"
        page.screenshot(path=path, full_page=True)


def test_an_unknown_header_is_mapped_once(page: Page, service: Service, shop: Origin) -> None:
    width = page.viewport_size["width"] if page.viewport_size else 0
    header = f"Artikel{width},Text,Adresse"
    # Links without a picture's name under a header that says nothing, and a second column of links.
    data = f"{header},Quelle\n7,Hut,{shop.url}/1.jpg?n=1#a,ftp://x\n8,Schal,,\n".encode()
    data = data.replace(b"?n=1#a", b"").replace(b"/1.jpg", b"/1.jpg ")
    unknown = data.replace(f"{shop.url}/1.jpg ".encode(), b"")
    page.goto(service.address)
    page.set_input_files("#file", [file("unknown.csv", unknown)])
    verdict = page.locator("#verdict .verdict")
    expect(verdict.locator("h2")).to_have_text("unknown.csv: which column holds the image links?")
    expect(verdict.locator("tbody tr").first).to_contain_text("Hut")
    shot(page, "columns-unknown")
    assert not overflows(page)

    verdict.locator("select").nth(2).select_option(label="Image links")  # the first click
    verdict.get_by_role("button", name="Use these columns").click()  # the second
    expect(verdict.locator("h2")).to_contain_text("unknown.csv: 1 error")  # no links in it

    page.set_input_files("#file", [file("filled.csv", data)])  # the header is known now
    expect(verdict.locator("h2")).to_have_text("filled.csv looks good")
    expect(verdict).to_contain_text("As you chose for this header.")
    expect(verdict.locator("#use-columns")).to_be_hidden()
    shot(page, "columns-saved")
    verdict.get_by_role("button", name="Start processing").click()
    finished(page)

    page.goto(service.address)
    page.set_input_files("#file", [file("filled.csv", data)])
    verdict.get_by_text("Change the columns").click()
    verdict.get_by_role("button", name="Forget this choice").click()
    expect(verdict).to_contain_text("Are these the right columns?")
    shot(page, "columns-guessed")
    assert not overflows(page)


def test_the_good_rows_of_a_file_can_be_started(page: Page, service: Service, shop: Origin) -> None:
    data = f"Handle,Title,Image Src\nhat,Hat,{shop.url}/1.jpg\npen,Pen,nonsense\nbag,Bag,\n"
    page.goto(service.address)
    page.set_input_files("#file", [file("shopify.csv", data.encode())])
    verdict = page.locator("#verdict .verdict")
    expect(verdict.locator("h2")).to_have_text("shopify.csv: 1 error to fix")
    with page.expect_download() as download:
        verdict.get_by_role("button", name="All errors as CSV").click()
    lines = download.value.path().read_text("utf-8-sig").splitlines()
    assert lines[1].startswith("3,3,Image Src,nonsense,url_scheme,")
    shot(page, "bad-rows")
    assert not overflows(page)

    verdict.get_by_role("button", name="Start with the 2 good rows").click()
    finished(page)
    expect(page.locator("#skipped")).to_contain_text("1 row of the file was left out.")
    with page.expect_download() as download:
        page.get_by_role("link", name="Ready to import").click()
    text = download.value.path().read_text()
    assert text.splitlines()[2:] == ["pen,Pen,nonsense", "bag,Bag,"]
    assert text.splitlines()[1].startswith(f"hat,Hat,{service.address}/api/images/")
    shot(page, "request-skipped")
    assert not overflows(page)
