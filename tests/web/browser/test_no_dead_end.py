"""One visit at each width: a start that is refused and then goes on, the pictures, the dialog."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.support.origin import Origin
from tests.support.servers.service import Service
from tests.web.browser.chromium import axe, overflows
from tests.web.browser.conftest import CATALOGUE, file, finished, sheet


def whole(page: Page) -> None:
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert axe(page) == []
        assert not overflows(page)


def test_from_a_refused_start_to_the_pictures(page: Page, service: Service, shop: Origin) -> None:
    page.goto(service.address)
    page.set_input_files("#file", [file("spring.csv", sheet(shop, *CATALOGUE))])
    page.get_by_text("Options", exact=True).click()
    page.get_by_label("Half", exact=True).check()
    expect(page.get_by_label("Quality")).to_have_attribute("placeholder", "50")
    page.get_by_label("Webhook").fill("http://10.0.0.1/hook")
    start = page.get_by_role("button", name="Start processing")
    start.click()
    expect(page.locator("#start-error")).to_contain_text("private or reserved network address")
    expect(page.get_by_label("Webhook")).to_be_focused()
    whole(page)

    page.get_by_label("Webhook").fill("")
    start.click()
    finished(page)
    page.get_by_label("Serial number, name or link").fill("shoe 3")
    expect(page.locator(".gallery li")).to_have_count(1)
    page.get_by_label("Serial number, name or link").fill("")
    expect(page.locator(".gallery li")).to_have_count(4)
    page.locator(".gallery a").first.click()
    title = page.locator("#dialog-title")
    expect(title).to_have_text("Shoe 1")
    page.keyboard.press("ArrowRight")
    expect(title).to_have_text("Shoe 2")
    page.keyboard.press("ArrowLeft")
    expect(title).to_have_text("Shoe 1")
    page.get_by_role("button", name="Actual size").click()
    expect(page.locator(".picture.zoomed")).to_have_count(1)
    whole(page)
