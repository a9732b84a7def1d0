"""From a file to a running request: chosen, dropped, refused, large, and the sample."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.origin import Origin
from tests.support.servers.service import Service
from tests.web.browser.chromium import overflows
from tests.web.browser.conftest import CATALOGUE, file, finished, sheet

REQUEST = re.compile(r"/requests/[0-9a-f-]{36}/$")
DROP = """([name, text]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([text], name, {type: "text/csv"}));
    const drop = document.getElementById("drop");
    for (const kind of ["dragover", "drop"]) {
        const options = {bubbles: true, cancelable: true, dataTransfer: carried};
        drop.dispatchEvent(new DragEvent(kind, options));
    }
}"""


def test_a_chosen_file_is_checked_started_and_followed_to_its_end(
    page: Page, service: Service, shop: Origin
) -> None:
    page.goto(service.address)
    with page.expect_file_chooser() as chooser:
        page.locator("#drop").click()
    chooser.value.set_files([file("spring.csv", sheet(shop, *CATALOGUE, "/1.jpg"))])
    verdict = page.locator(".verdict.good")
    expect(verdict.locator("h2")).to_have_text("spring.csv looks good")
    expect(verdict.locator(".figures dd")).to_have_text(["5", "5", "1", "1"])
    expect(verdict.locator(".known")).to_have_text(["S. No.", "Product Name", "Input Image Urls"])
    assert shop.hits["/1.jpg"] == 0  # a dry run fetches nothing

    verdict.get_by_role("button", name="Start processing").click()
    page.wait_for_url(REQUEST)
    page.evaluate("window.neverReloaded = true")
    finished(page)
    expect(page.locator("#percent")).to_have_text("100")
    expect(page).to_have_title("spring.csv · imageproc")
    expect(page.locator("#announcer")).to_have_text("Done: 100 percent of 5 images.")
    expect(page.locator(".gallery li")).to_have_count(5)
    expect(page.get_by_role("link", name="Download output CSV", exact=True)).to_be_visible()
    assert page.evaluate("window.neverReloaded") is True
    page.locator(".gallery img").last.scroll_into_view_if_needed()
    expect(page.locator(".gallery img").last).to_have_js_property("naturalWidth", 640)
    assert not overflows(page)


def test_a_dropped_file_is_taken(page: Page, service: Service, shop: Origin) -> None:
    page.goto(service.address)
    page.evaluate(DROP, ["dropped.csv", sheet(shop, "/1.jpg").decode()])
    expect(page.locator(".verdict.good h2")).to_have_text("dropped.csv looks good")
    page.get_by_role("button", name="Start processing").click()
    page.wait_for_url(REQUEST)
    finished(page)
    expect(page.locator("h1")).to_have_text("dropped.csv")


def test_a_refused_file_shows_every_line(page: Page, service: Service, shop: Origin) -> None:
    page.goto(service.address)
    rows = [
        *("S. No.,Product Name,Input Image Urls", "1,Shoe,nonsense", f"2,,{shop.url}/1.jpg"),
        "3,Hat,http://169.254.169.254/secret.jpg",
    ]
    page.set_input_files("#file", [file("bad.csv", "\n".join(rows).encode())])
    verdict = page.locator(".verdict.bad")
    expect(verdict.locator("h2")).to_have_text("bad.csv: 3 errors to fix")
    expect(verdict.locator("tbody .number")).to_have_text(["2", "3", "4"])
    expect(verdict.locator("tbody tr").first).to_contain_text(
        "This is not a full http:// or https:// link.Input Image Urls nonsense"
    )
    expect(verdict.locator("tbody tr").last).to_contain_text("private or reserved network address")
    expect(page.get_by_role("button", name="Start processing")).to_have_count(0)
    assert not overflows(page)

    page.set_input_files("#file", [file("good.csv", sheet(shop, "/1.jpg"))])
    expect(page.locator(".verdict.good")).to_be_visible()
    expect(verdict).to_have_count(0)


def test_options_reach_the_request(desk: Page, service: Service, shop: Origin) -> None:
    desk.goto(service.address)
    desk.set_input_files("#file", [file("webp.csv", sheet(shop, "/1.jpg"))])
    desk.get_by_text("Options", exact=True).click()
    desk.get_by_label("File format").select_option(label="WebP")
    desk.get_by_label("Width, pixels").fill("200")
    desk.get_by_label("Webhook").fill("http://10.0.0.1/hook")
    desk.get_by_role("button", name="Start processing").click()
    expect(desk.locator("#start-error")).to_contain_text("The webhook's address")

    desk.get_by_label("Webhook").fill("")
    desk.set_input_files("#file", [file("webp.csv", sheet(shop, "/1.jpg"))])
    desk.get_by_role("button", name="Start processing").click()
    finished(desk)
    expect(desk.locator("header.head")).to_contain_text("fit in 200 × 800, WebP, quality 30")
    desk.locator(".gallery a").click()
    expect(desk.locator("dialog .facts")).to_contain_text("200 × 150")


def test_a_large_file_shows_how_far_it_is(desk: Page, service: Service, shop: Origin) -> None:
    desk.goto(service.address)
    slow = desk.context.new_cdp_session(desk)
    line = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_000_000}
    slow.send("Network.emulateNetworkConditions", line)
    rows = b"".join(b"%d,Shoe,%s/1.jpg\n" % (n, shop.url.encode()) for n in range(40_000))
    data = b"S. No.,Product Name,Input Image Urls\n" + rows
    desk.set_input_files("#file", [file("large.csv", data)])
    expect(desk.locator("#sending p")).to_have_text(re.compile(r"Uploading, [1-9]\d? %"))
    expect(desk.locator(".verdict.good .figures dd").first).to_have_text("40,000")
    expect(desk.locator("#sending")).to_be_hidden()


def test_the_sample_works_without_a_file(desk: Page, service: Service) -> None:
    desk.goto(service.address)
    with desk.expect_download() as download:
        desk.get_by_role("link", name="Download a sample CSV").click()
    text = download.value.path().read_text()
    assert text.splitlines()[1] == f"P001,Plain photograph,{service.address}/static/sample/001.jpg"

    desk.get_by_role("button", name="try it with the sample").click()
    finished(desk)
    expect(desk.locator(".gallery li")).to_have_count(12)
    expect(desk.locator(".reason h3")).to_contain_text(
        ["The file is not an image.", "The host says that there is no such image."]
    )
