"""Who uses it: with an account, with a keyboard alone, with a screen reader."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.support.origin import Origin
from tests.support.servers.service import MANAGE, Service
from tests.web.browser.chromium import PHONE, WIDE, Scheme, axe, overflows
from tests.web.browser.conftest import CATALOGUE, file, finished, sheet

NEW_USER = "from django.contrib.auth.models import User; User.objects.create_user('mina', '', '{}')"
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="package")
def account(service: Service) -> tuple[str, str]:
    command = [sys.executable, str(MANAGE), "shell", "-c", NEW_USER.format(PASSWORD)]
    subprocess.run(command, env=service.env, check=True, capture_output=True)
    return "mina", PASSWORD


def test_sign_in_keys_and_sign_out(
    page: Page, service: Service, account: tuple[str, str], shop: Origin
) -> None:
    foreign = service.upload(sheet(shop, "/1.jpg"))["requestId"]
    page.goto(f"{service.address}/sign-in/?next=/keys/")
    page.get_by_label("User name").fill(account[0])
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").filter(has_text="Wrong user name or password")).to_be_visible()
    page.get_by_label("Password").fill(account[1])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("h1")).to_have_text("Keys")

    page.get_by_label("Name").fill("Nightly import")
    page.get_by_label("Retry, cancel and delete").uncheck()
    page.get_by_role("button", name="Create key").click()
    secret = page.locator("#secret").inner_text()
    row = page.locator(".keys tbody tr").filter(has_text=secret[:12])
    expect(row).to_contain_text("never")
    bearer = {"Authorization": f"Bearer {secret}"}
    listed = requests.get(f"{service.address}/api/requests", headers=bearer, timeout=10)
    assert (listed.status_code, listed.json()["requests"]) == (200, [])

    page.goto(f"{service.address}/keys/")
    assert secret not in page.content()  # shown once
    expect(row.locator("time")).to_be_visible()  # used
    row.get_by_role("link", name="Revoke Nightly import").click()
    page.locator("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)
    refused = requests.get(f"{service.address}/api/requests", headers=bearer, timeout=10)
    assert refused.status_code == 401

    page.goto(f"{service.address}/requests/")
    expect(page.locator(".empty")).to_contain_text("Nothing here yet.")
    assert page.request.get(f"{service.address}/requests/{foreign}/").status == 404
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("h1")).to_have_text("Sign in")


def test_all_of_it_works_by_keyboard_alone(desk: Page, service: Service, shop: Origin) -> None:
    desk.on("filechooser", lambda _: None)  # or Chromium may open its own before it is told not to
    desk.goto(service.address)
    desk.keyboard.press("Tab")
    expect(desk.get_by_role("link", name="Skip to the content")).to_be_focused()
    desk.keyboard.press("Enter")
    expect(desk.locator("main")).to_be_focused()
    desk.keyboard.press("Tab")
    expect(desk.locator("#file")).to_be_focused()
    with desk.expect_file_chooser() as chooser:
        desk.keyboard.press("Enter")
    chooser.value.set_files([file("keys.csv", sheet(shop, *CATALOGUE))])
    expect(desk.locator(".verdict.good")).to_be_visible()
    desk.keyboard.press("Tab")
    start = desk.get_by_role("button", name="Start processing")
    expect(start).to_be_focused()
    assert start.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    desk.keyboard.press("Enter")
    desk.wait_for_url(re.compile("/requests/.+"))
    finished(desk)
    expect(desk.locator(".gallery li")).to_have_count(4)

    picture = desk.locator(".gallery a").first
    for _ in range(20):
        desk.keyboard.press("Tab")
        if picture.evaluate("node => node === document.activeElement"):
            break
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("dialog", name="Shoe 1")).to_be_visible()
    desk.keyboard.press("Escape")
    expect(picture).to_be_focused()


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "light"), (PHONE, "dark")])
def test_axe_finds_nothing_serious(
    visit: Callable[..., Page],
    service: Service,
    shop: Origin,
    account: tuple[str, str],
    width: int,
    scheme: Scheme,
) -> None:
    page = visit(width, scheme)
    found: dict[str, list[str]] = {}

    def look(name: str) -> None:
        found[name] = axe(page)
        assert not overflows(page), name

    page.goto(service.address)
    page.get_by_text("Options", exact=True).click()
    page.set_input_files("#file", [file("bad.csv", b"S.No,Product,Image Urls\n1,a,b\n")])
    page.locator(".verdict.bad").wait_for()
    look("refused")
    page.set_input_files("#file", [file("good.csv", sheet(shop, "/1.jpg"))])
    page.locator(".verdict.good").wait_for()
    look("accepted")

    made = service.upload(sheet(shop, "/1.jpg", "/gone.jpg"), storeOriginals="true")
    page.goto(f"{service.address}/requests/{made['requestId']}/")
    finished(page)
    page.locator(".gallery img").wait_for()
    look("request")
    page.locator(".gallery a").click()
    page.locator("dialog [data-compare]").wait_for()
    look("before and after")
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Delete").click()
    page.locator("dialog .ask").wait_for()
    look("question")

    for path in ("/requests/", "/keys/", "/sign-in/"):
        page.goto(service.address + path)
        look(path)
    assert {name: lines for name, lines in found.items() if lines} == {}
