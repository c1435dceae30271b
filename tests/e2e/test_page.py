"""The page, in a real Chromium against the real service. `make screenshots` keeps a picture of each state."""

import base64
import io
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request, expect

from loadtest.server import Service, running_service
from tests.e2e.browser import running_browser, take_screenshot
from tests.support import PICTURES, ROOT, encode, newest, service_command

CAT = PICTURES / "cat.png"
SHIP = PICTURES / "ship.png"
STATIC = ROOT / "service" / "static"
MOST_BYTES = 60_000
KEY = "the-right-key"
# axe's rules of WCAG 2.2 at levels A and AA, and its best practices.
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
DROP = """(names) => {
    const transfer = new DataTransfer();
    for (const [name, bytes] of names) transfer.items.add(new File([new Uint8Array(bytes)], name));
    document.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
}"""
PASTE = """([name, bytes]) => {
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([new Uint8Array(bytes)], name));
    document.dispatchEvent(new ClipboardEvent("paste", { clipboardData }));
}"""

Shoot = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def service(artifacts: Path) -> Iterator[Service]:
    """Patient, so that a slow machine does not refuse what a test sends."""
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1", "GLIMPSE_MAX_WAIT_MS": "10000"}
    with running_service(service_command(), settings) as service:
        yield service


@pytest.fixture(scope="module")
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


def card(page: Page, name: str) -> Locator:
    """The answered card of a picture."""
    found = page.locator(".answer", has=page.get_by_role("heading", name=name, exact=True)).first
    expect(found).to_have_attribute("aria-busy", "false", timeout=20_000)
    return found


def drop(page: Page, *files: tuple[str, bytes]) -> None:
    page.evaluate(DROP, [[name, list(content)] for name, content in files])


def noise_of_low_confidence(service: Service) -> bytes:
    for seed in range(100):
        noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        data = encode(Image.fromarray(noise).resize((64, 64)))
        if httpx.post(f"{service.url}/classify", content=data).json()["low_confidence"]:
            return data
    pytest.fail("the model is sure of 100 pictures of noise")


def check_accessible(page: Page) -> None:
    found = Axe().run(page, options=AXE)
    assert found.violations_count == 0, found.generate_report()


def test_dropped_picture_shows_what_the_service_answers(page: Page, service: Service, shoot: Shoot) -> None:
    answer = httpx.post(f"{service.url}/classify", content=CAT.read_bytes()).json()
    drop(page, ("cat.png", CAT.read_bytes()), ("ship.png", SHIP.read_bytes()))
    cat = card(page, "cat.png")
    expect(cat.locator(".best")).to_have_text(f"cat, {100 * answer['prediction']['confidence']:.1f}%")
    expect(cat.locator(".bars li")).to_have_count(10)
    expect(cat.locator(".bars .name").first).to_have_text("cat")
    expect(cat.locator(".set")).to_have_text(f"Prediction set: {', '.join(answer['prediction_set'])}")
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
    drop(page, ("noise.png", noise_of_low_confidence(service)))
    expect(card(page, "noise.png").locator(".warning")).to_be_visible()
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


def test_example_is_one_key_away(page: Page) -> None:
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#examples') !== null"):
            break
    page.keyboard.press("Enter")
    expect(page.locator(".answer .best")).to_contain_text("%")
    page.keyboard.press("Tab")


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


def test_live_view_shows_what_was_done(page: Page, service: Service, shoot: Shoot) -> None:
    page.get_by_role("link", name="Live").click()
    expect(page.locator("#tiles")).to_contain_text("Workers1")
    for _ in range(40):
        httpx.post(f"{service.url}/classify", content=CAT.read_bytes())
    httpx.post(f"{service.url}/classify", content=b"no picture")
    tile = {name: page.locator("#tiles div", has_text=name).locator("dd") for name in ("Requests/s", "p95")}
    expect(tile["Requests/s"]).not_to_have_text("0.0", timeout=10_000)
    expect(tile["p95"]).to_have_text(re.compile(r"^\d+\.\d ms$"))
    expect(page.locator("#tiles div", has_text="Bad input/s").locator("dd")).not_to_have_text("0.0")
    expect(page.locator("#shares li").first).to_contain_text("cat")
    expect(page.locator("#stages tr")).to_have_count(4)
    expect(page.locator("#stages")).to_contain_text(re.compile(r"infer\d+\.\d ms"))
    expect(page.locator("#chart-latency svg path").first).to_have_attribute("d", re.compile(r"^M\d"))
    expect(page.locator("#chart-rate svg")).to_have_attribute(
        "aria-label", re.compile(r"Now: rate \d+\.\d requests per second")
    )
    check_accessible(page)
    shoot(page, "live")


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_percentiles_are_prometheus_estimates(share: float, page: Page) -> None:
    counts = {"0.001": 0, "0.005": 30, "0.01": 90, "0.1": 100, "+Inf": 100}
    script = """async ([share, counts]) => {
        const { quantile } = await import("/page/metrics.js");
        return quantile(share, new Map(Object.entries(counts)));
    }"""
    lower, upper, below, within = {
        0.5: (0.005, 0.01, 30, 60),
        0.95: (0.01, 0.1, 90, 10),
        0.99: (0.01, 0.1, 90, 10),
    }[share]
    expected = lower + (upper - lower) * (100 * share - below) / within
    assert math.isclose(page.evaluate(script, [share, counts]), expected)


def test_key_is_asked_for_and_kept_for_the_tab_only(
    opened: Callable[..., Page], guarded: Service, shoot: Shoot
) -> None:
    page = opened(guarded.url)
    dialog = page.get_by_role("dialog", name="This service asks for a key")
    expect(dialog).to_be_visible()
    page.get_by_label("API key").fill("a wrong one")
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


def test_who_gives_no_key_reads_why_nothing_works(opened: Callable[..., Page], guarded: Service) -> None:
    page = opened(guarded.url)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("This service asks for a key")


def test_service_that_is_gone_is_said(opened: Callable[..., Page], artifacts: Path) -> None:
    settings = {"GLIMPSE_ARTIFACTS": str(artifacts), "GLIMPSE_WORKERS": "1", "GLIMPSE_DRAIN_SECONDS": "0"}
    with running_service(service_command(), settings) as service:
        page = opened(service.url)
        expect(page.locator("#examples button").first).to_be_visible()
    drop(page, ("cat.png", CAT.read_bytes()))
    expect(card(page, "cat.png").locator(".best")).to_contain_text("The service does not answer")


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
