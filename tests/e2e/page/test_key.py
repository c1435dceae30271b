"""The page of a service that asks for a key."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from loadtest.server import Service
from tests.e2e.page.support import CAT, KEY, Shoot, card, check_accessible, drop


def test_key_is_asked_for_and_kept_for_the_tab_only(
    opened: Callable[..., Page], guarded: Service, shoot: Shoot
) -> None:
    page = opened(guarded.url)
    dialog = page.get_by_role("dialog", name="This service asks for a key")
    expect(dialog).to_be_visible()
    page.get_by_label("API key").fill(f"{KEY}\u200b")  # as pasted from a chat
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("signs of ASCII only")
    page.get_by_label("API key").fill("a-wrong-one")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("does not know this key")
    check_accessible(page)
    shoot(page, "key")
    page.get_by_label("API key").fill(KEY)
    page.get_by_role("button", name="Use it").click()
    expect(page.locator("#examples button").first).to_be_visible()
    drop(page, ("cat.png", CAT.read_bytes()))
    expect(card(page, "cat.png").locator(".best")).to_contain_text("cat")
    page.reload()
    expect(page.locator("#examples button").first).to_be_visible()  # still the same tab
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    other = page.context.new_page()
    other.goto(guarded.url)
    expect(other.get_by_role("dialog")).to_be_visible()


def test_who_gives_no_key_is_not_asked_again_until_they_want_to(
    opened: Callable[..., Page], guarded: Service
) -> None:
    page = opened(guarded.url)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("This service asks for a key")
    drop(page, ("cat.png", CAT.read_bytes()))
    page.get_by_role("link", name="Live").click()
    expect(page.locator("#live-problem")).to_have_text("This service asks for a key.")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("link", name="Classify").click()
    page.get_by_role("button", name="Try again").click()
    page.get_by_label("API key").fill(KEY)
    page.keyboard.press("Enter")
    expect(card(page, "cat.png").locator(".best")).to_contain_text("cat")
    expect(page.get_by_role("alert")).to_be_hidden()
