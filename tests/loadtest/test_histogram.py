import pytest

from loadtest.histogram import ServerView, parse_buckets, reconcile, view

NAME = "glimpse_request_seconds_bucket"
TEXT = f"""# HELP glimpse_request_seconds From headers to the last byte.
{NAME}{{le="0.005",route="/classify"}} 10.0
{NAME}{{le="0.01",route="/classify"}} 90.0
{NAME}{{le="+Inf",route="/classify"}} 100.0
{NAME}{{le="0.005",route="/metrics"}} 7.0
{NAME}{{le="0.01",route="/metrics"}} 7.0
{NAME}{{le="+Inf",route="/metrics"}} 7.0
{NAME}{{le="0.005",route="/classify/batch"}} 1.0
{NAME}{{le="0.01",route="/classify/batch"}} 1.0
{NAME}{{le="+Inf",route="/classify/batch"}} 1.0
"""
INF = float("inf")


def test_buckets_are_those_of_the_classifying_routes() -> None:
    assert parse_buckets(TEXT) == {5: 11, 10: 91, INF: 101}


def test_text_without_our_histogram_is_none() -> None:
    assert parse_buckets("up 1\n") is None


def test_only_what_came_in_between_counts() -> None:
    found = view({5: 1000, 10: 1000, 25: 1000, INF: 1000}, {5: 1050, 10: 1090, 25: 1100, INF: 1100})
    assert found == ServerView(100, 10, 25, pytest.approx(17.5))


def test_nothing_in_between_gives_no_view() -> None:
    assert view({5: 3, INF: 3}, {5: 3, INF: 3}) is None


def test_agreement_within_the_buckets_width_is_no_warning() -> None:
    (sentence,) = reconcile(22, 1, 100, ServerView(100, 10, 25, 17))
    assert "between 10 and 25 ms, about 17.0" in sentence


def test_disagreement_beyond_the_buckets_width_is_a_warning() -> None:
    _, warning = reconcile(40, 1.5, 100, ServerView(100, 10, 25, 17))
    assert warning.startswith("WARNING: they are 23.0 ms apart, more than the bucket's 15 ms")


def test_requests_of_others_are_a_warning() -> None:
    _, warning = reconcile(17, 1, 100, ServerView(130, 10, 25, 17))
    assert warning == "WARNING: the server counted 130 requests, but 100 were answered to us"


def test_client_that_is_quicker_than_the_server_is_a_warning_of_another_reason() -> None:
    _, warning = reconcile(2, 1, 100, ServerView(100, 25, 50, 40))
    assert warning.startswith("WARNING: they are 38.0 ms apart")
    assert "what it counted has slower requests than ours" in warning


def test_above_the_last_bucket_only_what_is_below_disagrees() -> None:
    beyond = view({1000: 0, INF: 0}, {1000: 10, INF: 100})
    assert beyond == ServerView(100, 1000, INF, 1000)
    (sentence,) = reconcile(3000, 1, 100, beyond)
    assert "the server's own p95 is above 1000 ms" in sentence
    _, warning = reconcile(600, 1, 100, beyond)
    assert "at least 400.0 ms apart" in warning


def test_histogram_of_a_service_that_started_anew_gives_no_view() -> None:
    assert view({5: 50, INF: 60}, {5: 1, INF: 2}) is None


def test_service_without_metrics_is_said() -> None:
    (sentence,) = reconcile(40, 1, 100, None)
    assert "is not known" in sentence
