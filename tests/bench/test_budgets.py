"""A budget is kept, short or not measured; never passed by what is missing."""

from __future__ import annotations

from bench.budgets import Budget, of_a_million, of_speed

FOUND = {
    "accept_s": 20.0,
    "web_peak_mb": 200.1,
    "ingest_rows_s": 19_999.0,
    "first_image_before_ingest_end_s": 3.5,
    "ingesting_status_p95_ms": 29.9,
    "ingest_python_ms_a_row": 0.02,
    "ingest_postgres_ms_a_row": 0.03,
    "output_rows_s": 30_000.0,
    "output_growth_mb": 1.0,
    "image_ms_at_a_million": 12.1,
    "image_ms_at_ten_thousand": 10.0,
    "admin_images_p95_ms": 201.0,
}


def test_verdicts_of_a_million() -> None:
    found = [(budget.promise, budget.verdict) for budget in of_a_million(FOUND)]
    assert [verdict for promise, verdict in found if promise.startswith("the same")] == [
        "not measured",
        "pass",
        "not measured",
    ]
    assert {promise: verdict for promise, verdict in found if "the same" not in promise} == {
        "upload accepted, fully validated, s": "pass",
        "peak memory of a web process, MB": "short",
        "ingest beside two workers, rows/s": "short",
        "first image done ahead of the ingest's end, s": "pass",
        "status during the ingest, p95, ms": "pass",
        "list of requests during the ingest, p95, ms": "not measured",
        "status after it, p95, ms": "not measured",
        "list of requests after it, p95, ms": "not measured",
        "page of the request after it, p95, ms": "not measured",
        "dashboard after it, p95, ms": "not measured",
        "admin's list of requests after it, p95, ms": "not measured",
        "admin's page of the request after it, p95, ms": "not measured",
        "admin's list of images after it, p95, ms": "short",
        "output CSV, rows/s": "pass",
        "memory growth of the output's writer, MB": "pass",
        "cost of an image, of that at 10,000 rows": "short",
    }


def test_a_limit_itself_is_kept() -> None:
    assert [Budget("", 5, 5).verdict, Budget("", 5, 5, at_least=True).verdict] == ["pass", "pass"]
    assert Budget("", None, 5).verdict == "not measured"
    assert (
        str(Budget("rows/s", 19_999.4, 20_000, True)) == "short        rows/s: 19,999.40 (≥ 20,000)"
    )


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    """The second round met a host of twice the speed: medians of their own would say 8 of 10."""
    each = {"service": {"rate": [8.0, 18.0, 8.0]}, "ceiling": {"rate": [9.0, 20.0, 10.0]}}
    found = {budget.promise: budget for budget in of_speed({"laps": {}, "each": each, "other": {}})}
    assert found["images/s, of the ceiling's"].measured == 8 / 9
    assert found["the same, origin 250 ms away"].measured is None


def test_what_the_worker_takes_above_the_codec_goes_by_rounds_too() -> None:
    """By the medians alone it would be 9."""
    each = {
        "service": {"rate": [1.0] * 3, "worker_ms": [60.0, 72.0, 69.0]},
        "codec on every core": {"cpu_ms": [54.0, 60.0, 64.0]},
        "ceiling": {"rate": [1.0] * 3},
    }
    found = {budget.promise: budget for budget in of_speed({"laps": {}, "each": each, "other": {}})}
    assert found["worker CPU an image above the codec's, ms"].measured == 6.0
