"""Classifying on the page, in a real Chromium against the real service."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from loadtest.server import Service, running_service
from tests.e2e.page.support import CAT, SHIP, Shoot, card, check_accessible, drop
from tests.support import PICTURES, encode, newest, service_command

PASTE = """([name, bytes]) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([new Uint8Array(bytes)], name));
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
}"""


def blend_of_low_confidence(service: Service) -> bytes:
    """Two things in one picture, each half seen."""
    pictures = [Image.open(path).convert("RGB") for path in sorted(PICTURES.glob("*.png"))]
    for one, other in itertools.combinations(pictures, 2):
        data = encode(Image.blend(one, other.resize(one.size), 0.5))
        if httpx.post(f"{service.url}/classify", content=data).json()["low_confidence"]:
            return data
    pytest.fail("the model is sure of every picture of two things")


def test_dropped_picture_shows_what_the_service_answers(page: Page, service: Service, shoot: Shoot) -> None:
    answer = httpx.post(f"{service.url}/classify", content=CAT.read_bytes()).json()
    drop(page, ("cat.png", CAT.read_bytes()), ("ship.png", SHIP.read_bytes()))
    cat = card(page, "cat.png")
    expect(cat.locator(".best")).to_have_text(f"cat, {100 * answer['prediction']['confidence']:.1f}%")
    expect(cat.locator(".bars li")).to_have_count(10)
    expect(cat.locator(".bars .name").first).to_have_text("cat")
    expect(cat.locator(".set")).to_have_text(f"Prediction set: {' '.join(answer['prediction_set'])} ")
    expect(cat.locator(".stages")).to_contain_text(re.compile(r"decode \d+\.\d ms, infer \d+\.\d ms"))
    expect(cat.locator(".warning")).to_be_hidden()
    card(page, "ship.png")
    expect(page.locator("#summary")).to_have_text("2 of 2 pictures answered")
    check_accessible(page)
    shoot(page, "classified")


def test_picture_is_shown_as_the_model_saw_it(page: Page) -> None:
    large = encode(Image.open(CAT).convert("RGB").resize((640, 480)), "JPEG")
    drop(page, ("large.jpg", large))
    seen = card(page, "large.jpg").locator(".seen img")
    expect(seen).to_be_visible()
    assert seen.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [32, 32]
    expect(page.locator(".seen figcaption")).to_have_text("as the model saw it, 32 \u00d7 32")


def test_chosen_pasted_and_photographed_pictures_are_answered(page: Page) -> None:
    page.set_input_files("#files", [CAT, SHIP])
    page.evaluate(PASTE, ["pasted.png", list(CAT.read_bytes())])
    page.get_by_role("button", name="Take a photo").click()
    expect(page.locator("#camera-dialog")).to_be_visible()
    expect(page.locator("#camera")).not_to_have_js_property("videoWidth", 0)
    page.get_by_role("button", name="Take it").click()
    expect(page.locator("#camera-dialog")).to_be_hidden()
    for name in ("cat.png", "ship.png", "pasted.png", "photo.jpg"):
        expect(card(page, name).locator(".bars li")).to_have_count(10)


def test_without_a_camera_the_phones_own_is_asked(page: Page) -> None:
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no camera')); }"
    )
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take a photo").click()
    chooser.value.set_files(CAT)
    expect(card(page, "cat.png").locator(".best")).to_contain_text("cat")


def test_corrupt_picture_shows_the_services_sentence(page: Page, service: Service, shoot: Shoot) -> None:
    corrupt, text = CAT.read_bytes()[:300], b"I am no picture."
    said = httpx.post(f"{service.url}/classify", content=corrupt).json()["error"]["message"]
    drop(page, ("corrupt.png", corrupt), ("notes.txt", text), ("cat.png", CAT.read_bytes()))
    expect(card(page, "corrupt.png").locator(".best")).to_have_text(f"{said[0].upper()}{said[1:]}.")
    expect(card(page, "notes.txt").locator(".best")).to_contain_text("not a picture in an accepted format")
    expect(card(page, "cat.png").locator(".best")).to_contain_text("cat")
    expect(page.locator("#summary")).to_have_text("3 of 3 pictures answered, 2 of them failed")
    check_accessible(page)
    shoot(page, "failed")


def test_low_confidence_is_warned_of(page: Page, service: Service, shoot: Shoot) -> None:
    drop(page, ("both.png", blend_of_low_confidence(service)))
    expect(card(page, "both.png").locator(".warning")).to_be_visible()
    check_accessible(page)
    shoot(page, "low-confidence")


def test_another_model_answers_anew(page: Page, artifacts: Path, shoot: Shoot) -> None:
    drop(page, ("cat.png", CAT.read_bytes()))
    expect(card(page, "cat.png").locator(".stages")).to_contain_text("resnet")
    version = newest(artifacts / "cnn").name
    page.get_by_label("Model", exact=True).select_option(label=f"cnn {version}")
    expect(page.locator(".stages")).to_contain_text(f"cnn {version}:")
    expect(page.locator(".seen figcaption")).to_have_text("as the model saw it, 64 \u00d7 64")
    expect(page.locator("#model-facts")).to_contain_text("cnn, ")
    expect(page.get_by_role("button", name=f"Classify example 1 of cnn {version}")).to_be_visible()
    shoot(page, "another-model")


def test_twenty_pictures_at_once_are_all_answered(page: Page, shoot: Shoot) -> None:
    pictures = sorted(PICTURES.glob("*.png")) * 2
    page.set_input_files(
        "#files",
        [
            {"name": f"{index} {path.name}", "mimeType": "image/png", "buffer": path.read_bytes()}
            for index, path in enumerate(pictures)
        ],
    )
    expect(page.locator("#summary")).to_have_text("20 of 20 pictures answered", timeout=30_000)
    found = page.locator(".answer .best").all_text_contents()
    right = sum(text.startswith(path.stem) for text, path in zip(found, pictures, strict=True))
    assert right >= 16
    shoot(page, "twenty")


def test_file_that_changed_on_disk_is_said(page: Page, artifacts: Path, tmp_path: Path) -> None:
    path = tmp_path / "changing.png"
    path.write_bytes(CAT.read_bytes())
    page.set_input_files("#files", path)
    card(page, "changing.png")
    path.write_bytes(SHIP.read_bytes())
    page.get_by_label("Model", exact=True).select_option(label=f"cnn {newest(artifacts / 'cnn').name}")
    expect(page.locator(".answer .best")).to_contain_text("It can't be read: it is a folder, or has changed")


def test_busy_service_is_asked_again_and_the_wait_is_no_network(page: Page) -> None:
    refusals = [1, 1]

    def refuse_first(route: Route) -> None:
        if refusals and refusals.pop():
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"error": {"message": "busy"}})
        else:
            route.continue_()

    page.route("**/classify/details?*", refuse_first)
    drop(page, ("cat.png", CAT.read_bytes()))
    expect(page.locator(".answer .best")).to_have_text("The service is busy, trying again \u2026")
    stages = card(page, "cat.png").locator(".stages").text_content() or ""
    assert int(re.findall(r"with the network (\d+) ms", stages)[0]) < 1000


def test_answer_of_somebody_else_is_said(page: Page) -> None:
    page.route("**/classify/details?*", lambda route: route.fulfill(body="<html>sign in</html>"))
    drop(page, ("cat.png", CAT.read_bytes()))
    expect(card(page, "cat.png").locator(".best")).to_contain_text("Something between here and the service")


def test_cleared_pictures_hold_up_no_others(page: Page) -> None:
    def hold_first(route: Route) -> None:
        if (route.request.post_data_buffer or b"") != CAT.read_bytes():
            route.continue_()  # the others never get an answer

    page.route("**/classify/details?*", hold_first)
    drop(page, *[(f"{index}.png", CAT.read_bytes()) for index in range(6)])
    page.get_by_role("button", name="Clear").click()
    drop(page, ("ship.png", SHIP.read_bytes()))
    expect(card(page, "ship.png").locator(".best")).to_contain_text("ship")
    expect(page.locator("#summary")).to_have_text("1 of 1 picture answered")


def test_name_in_any_script_turns_nothing_around_it(page: Page) -> None:
    def rename(route: Route) -> None:
        answer = route.fetch().json()
        answer["all_probabilities"] = {"\u202egnirts": 0.9, "\u0642\u0637\u0629": 0.1}
        answer["prediction"] = {"class": "\u202egnirts", "confidence": 0.9}
        answer["prediction_set"] = [f"class {index}" for index in range(950)]
        route.fulfill(json=answer)

    page.route("**/classify/details?*", rename)
    drop(page, ("cat.png", CAT.read_bytes()))
    best = card(page, "cat.png").locator(".best")
    expect(best.locator("bdi")).to_have_text("\u202egnirts")
    assert best.evaluate("element => element.lastChild.textContent") == ", 90.0%"
    expect(page.locator(".set")).to_contain_text("class 19 and 930 more")


def test_example_is_one_key_away(page: Page) -> None:
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#examples') !== null"):
            break
    page.keyboard.press("Enter")
    expect(page.locator(".answer .best")).to_contain_text("%")


def test_answers_can_be_cleared(page: Page) -> None:
    drop(page, ("cat.png", CAT.read_bytes()))
    card(page, "cat.png")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".answer")).to_have_count(0)
    expect(page.get_by_role("button", name="Clear")).to_be_hidden()


def test_file_name_is_text_and_nothing_else(page: Page) -> None:
    name = "<img src=x onerror=alert(1)>.png"
    drop(page, (name, CAT.read_bytes()))
    expect(card(page, name).locator(".best")).to_contain_text("cat")


def test_service_that_is_gone_is_said(opened: Callable[..., Page], artifacts: Path) -> None:
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1", "GLIMPSE_DRAIN_SECONDS": "0"}
    with running_service(service_command(), settings) as service:
        page = opened(service.url)
        expect(page.locator("#examples button").first).to_be_visible()
    drop(page, ("cat.png", CAT.read_bytes()))
    expect(card(page, "cat.png").locator(".best")).to_contain_text("The service does not answer")
