"""The operators' pages and the API's documentation in a real browser: nothing is complained of."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Response, expect

from tests.support.origin import Origin
from tests.support.servers.service import Service
from tests.web.browser.chromium import Scheme, overflows
from tests.web.browser.conftest import sheet

PASSWORD = "a long one for the tests"
LISTS = (
    *("processingrequest", "product", "productimage", "webhookdelivery"),
    *("apikey", "switch", "clusterheartbeat"),
)
SCHEMES: tuple[Scheme, ...] = ("dark", "light")
OTHERS = ("auth/user", "auth/group", "django_q/ormq", "django_q/failure")


class Walk:
    """A visitor who opens pages one by one; each must be whole and fit into the window, by day and
    by night."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.refused: list[str] = []
        page.on("response", self._heard)

    def _heard(self, response: Response) -> None:
        if response.status >= 400:
            self.refused.append(f"{response.status} {response.url}")

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)
        self.look()

    def look(self) -> None:
        self.page.wait_for_load_state()
        assert self.refused == []
        for scheme in SCHEMES:
            self.page.emulate_media(color_scheme=scheme)
            assert not overflows(self.page), f"{self.page.url}, {scheme}"


@pytest.fixture(scope="module")
def root(service: Service) -> str:
    """The name of somebody who may do all."""
    create = ("createsuperuser", "--noinput", "--username", "root", "--email", "root@example.com")
    service.manage(*create, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    return "root"


@pytest.fixture
def request_id(service: Service, shop: Origin) -> str:
    """A request with a done and a failed image and a webhook that is refused."""
    hook = shop.serve("/hook", b"no", content_type="text/plain", status=500)
    told = service.upload(sheet(shop, "/1.jpg", "/gone.jpg").decode(), webhookUrl=hook)
    service.finish(told["requestId"])
    return str(told["requestId"])


def test_every_page_of_the_operators(
    desk: Page, service: Service, root: str, request_id: str
) -> None:
    page = desk
    walk = Walk(page, service.address)
    walk.open("/admin/")
    page.get_by_label("Username").fill(root)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Images waiting")).to_be_visible()
    expect(page.locator("canvas")).to_have_count(2)
    expect(page.get_by_role("link", name="imageproc")).to_be_visible()
    walk.look()
    walk.open("/admin/imageproc/apikey/add/")
    page.locator("[name=owner]").fill("root")
    page.locator("[name=name]").fill("Shop")
    page.locator("[name=_save]").click()
    expect(page.get_by_text("copy it now")).to_be_visible()
    for model in LISTS:
        walk.open(f"/admin/imageproc/{model}/")
        page.locator("#result_list tbody a").first.click()
        expect(page.get_by_role("link", name="Close")).to_be_visible()
        walk.look()
    for path in OTHERS:
        walk.open(f"/admin/{path}/")
    walk.open("/admin/auth/user/1/change/")
    walk.open(f"/admin/imageproc/productimage/?request__id__exact={request_id}&state=COMPLETED")
    page.locator("#result_list tbody a").first.click()
    expect(page.get_by_role("link", name="Open the source image")).to_be_visible()
    expect(page.get_by_alt_text("The result")).to_have_js_property("naturalWidth", 640)
    walk.look()
    _retry(walk, request_id)


def _retry(walk: Walk, request_id: str) -> None:
    """What the state allows is offered, asked for first, and done."""
    page = walk.page
    walk.open(f"/admin/imageproc/processingrequest/{request_id}/change/")
    expect(page.get_by_role("link", name="Cancel")).to_have_count(0)
    page.get_by_role("link", name="Retry failed images").click()
    expect(page.get_by_text("with a full set of attempts")).to_be_visible()
    walk.look()
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("Retry failed images: 1 done (1 row changed).")).to_be_visible()
    page.wait_for_load_state("networkidle")
    walk.look()


def test_the_documentation_of_the_api(desk: Page, service: Service) -> None:
    walk = Walk(desk, service.address)
    walk.open("/api/docs")
    desk.locator(".opblock-summary").first.click()
    expect(desk.locator(".opblock-body").first).to_be_visible()
    walk.look()
