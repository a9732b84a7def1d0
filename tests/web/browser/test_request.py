"""One request: before and after, failures and retries, cancelling, deleting, the files."""

from __future__ import annotations

import csv
import re

import requests
from playwright.sync_api import Page, expect

from tests.support import pictures
from tests.support.origin import Origin
from tests.support.servers.service import Service
from tests.web.browser.chromium import axe, overflows
from tests.web.browser.conftest import CATALOGUE, PICTURE_SIZE, finished, sheet


def open_request(page: Page, service: Service, data: bytes, **options: str) -> str:
    request_id = str(service.upload(data, **options)["requestId"])
    page.goto(f"{service.address}/requests/{request_id}/")
    return request_id


def test_the_slider_moves_by_pointer_and_by_key(page: Page, service: Service, shop: Origin) -> None:
    open_request(page, service, sheet(shop, "/1.jpg"), storeOriginals="true")
    finished(page)
    page.locator(".gallery a").click()
    box = page.locator("dialog [data-compare]")
    slider = box.get_by_role("slider")
    before = box.locator(".compare-before")
    expect(before).to_have_js_property("naturalWidth", 640)
    shape = box.bounding_box()
    assert shape is not None
    page.mouse.click(shape["x"] + shape["width"] * 0.8, shape["y"] + shape["height"] / 2)
    moved = int(slider.input_value())
    assert 75 <= moved <= 85
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    assert slider.input_value() == str(moved - 2)
    assert box.evaluate("box => box.style.getPropertyValue('--at')") == f"{moved - 2}%"
    clip = before.evaluate("image => getComputedStyle(image).clipPath")
    assert clip == f"inset(0px {100 - (moved - 2)}% 0px 0px)"
    assert slider.get_attribute("aria-valuetext") == f"{moved - 2} percent before"
    assert not overflows(page)

    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(page.locator(".gallery a")).to_be_focused()


def test_without_a_stored_original_there_is_a_link_instead(
    desk: Page, service: Service, shop: Origin
) -> None:
    open_request(desk, service, sheet(shop, "/1.jpg"))
    finished(desk)
    desk.locator(".gallery a").click()
    source = desk.locator("dialog").get_by_role("link", name="Open source URL")
    expect(source).to_have_attribute("href", f"{shop.url}/1.jpg")
    expect(desk.locator("dialog [data-compare]")).to_have_count(0)
    desk.get_by_role("link", name="Compare with the source").click()
    before = desk.locator("[data-compare] .compare-before")
    expect(before).to_have_js_property("naturalWidth", PICTURE_SIZE[0])
    expect(desk.get_by_role("slider")).to_be_visible()
    expect(desk.locator("[data-source-missing]")).to_be_hidden()
    assert axe(desk) == []


# Headless browsers show no notifications: what the page asks the browser for.
NOTIFIED = """window.asked = 0; window.shown = [];
window.Notification = class {
    static permission = "default";
    static async requestPermission() { window.asked += 1; return "granted"; }
    constructor(title, options) { window.shown.push([title, options.body]); }
};"""


def test_it_notifies_of_the_end_where_it_was_asked_to(
    page: Page, service: Service, shop: Origin
) -> None:
    shop.serve("/late.jpg", b"", delay_ms=60_000)
    page.add_init_script(NOTIFIED)
    request_id = open_request(page, service, sheet(shop, "/late.jpg"))
    button = page.get_by_role("button", name="Notify me when it ends")
    expect(button).to_be_visible()
    assert page.evaluate("asked") == 0
    assert axe(page) == []
    button.click()
    expect(page.locator("#notify")).to_have_text("We’ll notify you here")
    requests.post(f"{service.address}/api/requests/{request_id}/cancel", timeout=30)
    expect(page.locator("#notify")).to_be_hidden()
    assert page.evaluate("[asked, shown]") == [
        1,
        [["products.csv", "Cancelled: 0 percent of 1 images."]],
    ]
    page.reload()
    expect(page.locator("#notify")).to_be_hidden()


def test_what_failed_is_told_and_tried_again(page: Page, service: Service, shop: Origin) -> None:
    for name in ("late", "later"):
        shop.serve(f"/{name}.jpg", b"", status=404)
    shop.serve("/page.jpg", b"<html><p>Sign in</p></html>", content_type="text/html")
    open_request(page, service, sheet(shop, "/1.jpg", "/late.jpg", "/later.jpg", "/page.jpg"))
    finished(page)
    reasons = page.locator(".reason")
    expect(reasons.locator("h3")).to_have_text(
        [
            "The host says that there is no such image. 2 images",
            "The host answered with an HTML page, not an image. 1 image",
        ]
    )
    expect(reasons.first).to_contain_text("Check the link in a browser.")
    expect(reasons.first.locator(".host")).to_have_text("127.0.0.1")
    reasons.first.get_by_text("Show links").click()
    expect(reasons.first.locator(".links a")).to_have_text(
        [f"{shop.url}/{name}.jpg (opens a new tab)" for name in ("late", "later")]
    )
    assert not overflows(page)

    for seed, name in enumerate(("late", "later", "page"), 7):
        data = pictures.jpeg(seed, PICTURE_SIZE)
        shop.serve(f"/{name}.jpg", data, content_type="image/jpeg")
    reasons.first.get_by_role("button", name="Retry these").click()
    expect(page.locator(".messages")).to_have_text("Retrying 2 images.")
    expect(reasons).to_have_count(1)
    finished(page)
    expect(page.locator(".gallery li")).to_have_count(3)
    reasons.get_by_role("button", name="Retry these").click()
    finished(page)
    expect(page.locator(".gallery li")).to_have_count(4)
    expect(page.locator("#progress .badge")).to_have_text("Done")
    expect(reasons).to_have_count(0)


def test_retry_all_failed(desk: Page, service: Service, shop: Origin) -> None:
    shop.serve("/a.jpg", b"", status=404)
    shop.serve("/b.jpg", b"", status=403)
    open_request(desk, service, sheet(shop, "/a.jpg", "/b.jpg"))
    finished(desk, "FAILED")
    expect(desk.locator(".note")).to_have_text("None of the images could be processed.")
    for name in ("a", "b"):
        shop.serve(f"/{name}.jpg", pictures.jpeg(3, PICTURE_SIZE), content_type="image/jpeg")
    desk.get_by_role("button", name="Retry all 2").click()
    finished(desk)
    expect(desk.locator(".gallery li")).to_have_count(2)


def test_cancelling_asks_first(desk: Page, service: Service, shop: Origin) -> None:
    shop.serve("/slow.jpg", pictures.jpeg(1, PICTURE_SIZE), delay_ms=4000)
    open_request(desk, service, sheet(shop, *["/slow.jpg"] * 40))
    desk.get_by_role("link", name="Cancel").click()
    ask = desk.locator("dialog .ask")
    ask.get_by_role("button", name="Keep running").click()
    expect(desk.locator("dialog")).to_be_hidden()
    expect(desk.locator("#progress .badge")).to_have_text("Running")
    desk.get_by_role("link", name="Cancel").click()
    ask.get_by_role("button", name="Cancel the request").click()
    expect(desk.locator("#progress .badge")).to_have_text("Cancelled")
    expect(desk.get_by_role("link", name="Cancel")).to_have_count(0)


def test_the_files_come_as_downloads(desk: Page, service: Service, shop: Origin) -> None:
    data = sheet(shop, "/1.jpg", "/missing.jpg")
    open_request(desk, service, data)
    finished(desk)
    got = {}
    for name in ("Download output CSV", "Failed rows", "Input CSV"):
        with desk.expect_download() as download:
            desk.get_by_role("link", name=name, exact=True).click()
        got[name] = download.value.path().read_bytes()
    assert got["Input CSV"] == data
    rows = list(csv.DictReader(got["Download output CSV"].decode().splitlines()))
    assert [row["Status"] for row in rows] == ["COMPLETED", "FAILED"]
    failed = list(csv.DictReader(got["Failed rows"].decode().splitlines()))
    assert [row["S. No."] for row in failed] == ["P2"]


def test_the_list_finds_and_deletes(page: Page, service: Service, shop: Origin) -> None:
    request_id = open_request(page, service, sheet(shop, *CATALOGUE))
    finished(page)
    page.get_by_role("link", name="Requests").first.click()
    expect(page.get_by_role("link", name="products.csv", exact=True).first).to_be_visible()
    page.get_by_label("File name").fill("no such file")
    expect(page.locator("#list .empty")).to_contain_text("No requests match.")
    page.get_by_label("File name").fill("PRODUCTS")
    row = page.locator("#list tbody tr").filter(has=page.locator(f"[href*='{request_id}']"))
    expect(row.locator(".badge")).to_have_text("Done")
    row.get_by_role("link", name="Delete products.csv").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".messages")).to_have_text("products.csv was deleted.")
    expect(row).to_have_count(0)
    assert not overflows(page)


def test_the_page_tells_what_its_images_wait_for(
    page: Page, service: Service, shop: Origin
) -> None:
    """A host of its own, so that the pace is no other test's: a name of this machine."""
    data = sheet(shop, *CATALOGUE, *(f"{path}?again" for path in CATALOGUE))
    open_request(page, service, data.replace(b"127.0.0.1", b"localhost"), hostPace="1")
    wait = page.locator(".host-wait")
    expect(wait).to_have_text(
        re.compile(
            r"^[2-8] images wait for localhost: An upload has set its pace · 1.0 a second\.$"
        )
    )
    expect(page.locator(".pace")).to_have_text(re.compile(r"about \d+\s+s left"))
    finished(page)
    expect(wait).to_have_count(0)
