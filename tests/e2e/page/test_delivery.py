"""How the page comes, and in which shapes: policy, size, phones, schemes, history, switches."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, expect

from loadtest.server import Service, running_service
from tests.e2e.page.support import CAT, SHIP, Shoot, card, check_accessible, drop
from tests.support import ROOT, service_command

STATIC = ROOT / "service" / "static"
MOST_BYTES = 60_000


def test_views_are_pages_of_the_history(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skips to the content
    page.get_by_role("link", name="Live").click()
    expect(page.locator("#view-live")).to_be_visible()
    page.go_back()
    expect(page.locator("#view-classify")).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("link", name="Live")).to_have_attribute("aria-current", "page")


def test_forced_colours_keep_the_bars(opened: Callable[..., Page], service: Service) -> None:
    page = opened(service.url, forced_colors="active")
    expect(page.locator("#examples button").first).to_be_visible()
    drop(page, ("cat.png", CAT.read_bytes()))
    bar = card(page, "cat.png").locator(".bars li").first
    colours = [
        bar.locator(part).evaluate("element => getComputedStyle(element).backgroundColor")
        for part in (".fill", ".track")
    ]
    assert colours[0] != colours[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_in_either_scheme_needs_no_sideways_scrolling(
    scheme: str, opened: Callable[..., Page], service: Service, shoot: Shoot
) -> None:
    options = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme}
    page = opened(service.url, **options)
    expect(page.locator("#examples button").first).to_be_visible()
    drop(page, ("ship.png", SHIP.read_bytes()))
    card(page, "ship.png")
    check_accessible(page)
    shoot(page, f"phone-{scheme}")
    for view in ("classify", "live"):
        page.goto(f"{service.url}/#{view}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator("#tiles")).to_contain_text("Workers")
    check_accessible(page)


def test_page_is_small_and_loads_nothing_from_elsewhere(service: Service, browser: Browser) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        asked: list[str] = []

        def note(request: Request) -> None:
            asked.append(request.url)

        page.on("request", note)
        page.goto(service.url)
        expect(page.locator("#examples button").first).to_be_visible()
    assert [url for url in asked if not url.startswith((service.url, "data:image/"))] == []
    loaded = {url.rpartition("/")[2] for url in asked}
    written = {path.name for path in STATIC.rglob("*") if path.is_file() and path.name != "index.html"}
    assert written <= loaded
    assert sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file()) < MOST_BYTES


def test_policy_allows_own_files_only(service: Service) -> None:
    headers = httpx.get(service.url, headers={"Accept": "text/html"}).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["vary"] == "Accept"


def test_programs_get_json_where_browsers_get_the_page(service: Service) -> None:
    assert httpx.get(service.url).json()["name"] == "Glimpse"
    html = httpx.get(service.url, headers={"Accept": "text/html,*/*;q=0.8"})
    assert html.headers["content-type"] == "text/html; charset=utf-8"


def test_page_and_examples_can_be_switched_off(artifacts: Path) -> None:
    settings = {
        "GLIMPSE_ARTIFACTS": str(artifacts),
        "GLIMPSE_WORKERS": "1",
        "GLIMPSE_PAGE": "false",
        "GLIMPSE_EXAMPLES": "false",
    }
    with (
        running_service(service_command(), settings) as service,
        httpx.Client(base_url=service.url) as client,
    ):
        index = client.get("/", headers={"Accept": "text/html"}).json()
        assert "GET /model/examples" not in index["endpoints"]
        assert client.get("/page/app.js").status_code == 404
        assert client.get("/model/examples").status_code == 404


def test_examples_are_the_bundles_golden_pictures(service: Service) -> None:
    examples = httpx.get(f"{service.url}/model/examples").json()["examples"]
    assert len(examples) == 10
    for url in examples:
        data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
        assert Image.open(io.BytesIO(data)).size == (64, 64)
