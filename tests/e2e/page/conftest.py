"""A browser, a service for it to look at, and pages that must have no errors of their own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from loadtest.server import Service, running_service
from tests.e2e.page.browser import running_browser, take_screenshot
from tests.e2e.page.support import KEY, Shoot
from tests.support import service_command


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="package")
def service(artifacts: Path) -> Iterator[Service]:
    """Patient, so that a slow machine does not refuse what a test sends."""
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1", "GLIMPSE_MAX_WAIT_MS": "10000"}
    with running_service(service_command(), settings) as service:
        yield service


@pytest.fixture(scope="package")
def guarded(artifacts: Path) -> Iterator[Service]:
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1", "GLIMPSE_API_KEYS": KEY}
    with running_service(service_command(), settings) as service:
        yield service


@pytest.fixture
def shoot(request: pytest.FixtureRequest) -> Shoot:
    """Keeps a screenshot under a name, where --screenshots says so."""
    folder: Path | None = request.config.getoption("--screenshots")

    def keep(page: Page, name: str) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            take_screenshot(page, folder / f"{name}.png")

    return keep


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages, in a context of their own each; at the end, none may have had an error of its own."""
    errors: list[str] = []
    contexts = []

    def open_page(url: str, **options: object) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1000, "height": 700}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if is_ours(message.text) else None)
        page.goto(url)
        return page

    def is_ours(text: str) -> bool:
        # Chromium itself notes every answer that is an error; the page shows those.
        return not text.startswith("Failed to load resource")

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(opened: Callable[..., Page], service: Service) -> Page:
    page = opened(service.url)
    expect(page.locator("#examples button").first).to_be_visible()
    return page
