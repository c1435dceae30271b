"""The live view, in a real Chromium against the real service."""

import math
import re

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from loadtest.server import Service
from tests.e2e.page.support import CAT, Shoot, check_accessible


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


def test_live_view_counts_anew_after_a_restart(page: Page) -> None:
    started, asked = [100.0], [306]

    def scrape(route: Route) -> None:
        text = (
            f"glimpse_start_time_seconds {started[0]}\n"
            f'glimpse_requests_total{{route="/classify",status="200"}} {asked[0]}\n'
            f'glimpse_predictions_total{{predicted="cat"}} {asked[0]}\n'
        )
        route.fulfill(body=text)

    page.route("**/metrics", scrape)
    page.get_by_role("link", name="Live").click()
    expect(page.locator("#shares-since")).to_have_text("since the start: 306")
    rate = page.locator("#tiles div", has_text="Requests/s").locator("dd")
    expect(rate).to_have_text("0.0")
    started[0], asked[0] = 200.0, 350
    expect(page.locator("#shares-since")).to_have_text("since the start: 350")
    expect(rate).to_have_text("0.0")  # not 44 more than before


def test_live_view_of_a_service_that_is_gone_shows_no_old_figures(page: Page) -> None:
    page.get_by_role("link", name="Live").click()
    workers = page.locator("#tiles div", has_text="Workers").locator("dd")
    expect(workers).to_have_text("1")
    page.route("**/metrics", lambda route: route.abort())
    expect(workers).to_have_text("\u2013")
    expect(page.locator("#live-problem")).to_contain_text("The service does not answer")
    page.get_by_role("link", name="Classify").click()
    expect(page.locator("#live-problem")).to_be_hidden()


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
