"""A real Chromium for the tests of the page, and where their screenshots go."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    "--no-sandbox",  # root can't have one, and tests in containers are root
    # It looks for updates of its own otherwise.
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # A moving test picture stands in for a camera.
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
)
_SCREENSHOT_COLOURS = 128


def find_chromium() -> str | None:
    """The path of an installed Chromium or Chrome."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A headless Chromium; skips the test where there is none."""
    path = find_chromium()
    if path is None:
        pytest.skip("needs Chromium: install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


def take_screenshot(page: Page, path: Path) -> None:
    """What the page shows, in few enough colours for a small file."""
    image = Image.open(io.BytesIO(page.screenshot(full_page=True, animations="disabled")))
    image.convert("RGB").quantize(_SCREENSHOT_COLOURS).save(path, optimize=True)
