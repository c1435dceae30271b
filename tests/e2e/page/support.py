"""What the tests of the page do to it, and look for."""

from collections.abc import Callable

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.support import PICTURES

CAT = PICTURES / "cat.png"
SHIP = PICTURES / "ship.png"
KEY = "the-right-key"
# axe's rules of WCAG 2.2 at levels A and AA, and its best practices.
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
DROP = """(names) => {
    const transfer = new DataTransfer();
    for (const [name, bytes] of names) transfer.items.add(new File([new Uint8Array(bytes)], name));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
}"""

Shoot = Callable[[Page, str], None]


def card(page: Page, name: str) -> Locator:
    """The answered card of a picture."""
    found = page.locator(".answer", has=page.get_by_role("heading", name=name, exact=True)).first
    expect(found).to_have_attribute("aria-busy", "false", timeout=20_000)
    return found


def drop(page: Page, *files: tuple[str, bytes]) -> None:
    page.evaluate(DROP, [[name, list(content)] for name, content in files])


def check_accessible(page: Page) -> None:
    found = Axe().run(page, options=AXE)
    assert found.violations_count == 0, found.generate_report()
