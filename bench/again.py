"""A catalogue that comes again: what of its cost is left when nearly nothing has changed.

python -m bench.again [--images N]
"""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from typing import Any

import requests

from bench import inputs
from bench.__main__ import WORKERS, warm_up
from bench.ground import Ground, ground
from bench.service import WORKER

# One picture in so many is another on the second night.
CHANGED = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    count = parser.parse_args().images
    with ground(WORKERS) as real:
        warm_up(real)
        print(json.dumps(measure(real, count), indent=1))


def measure(real: Ground, count: int) -> dict[str, Any]:
    """Ratios to the first night, and rates."""
    names, base = list(inputs.small_pictures()), real.near.url
    night = list(inputs.urls(base, names, count))
    # 1 % of the URLs are other ones: their pictures are new to the service.
    changed = [url + "&changed" if n % CHANGED == 0 else url for n, url in enumerate(night)]
    repeated = [night[n % (count // 10)] + "&repeated" for n in range(count)]
    first, links = _run(real, night)
    again, links_again = _run(real, changed)
    same, _ = _run(real, night)
    fresh, _ = _run(real, night, maxAge="3600")
    often, _ = _run(real, repeated)
    return {
        "images": count,
        "again_1_percent_cpu": again["worker_s"] / first["worker_s"],
        "again_same_links": sum(a == b for a, b in zip(links, links_again, strict=True)) / count,
        "first_rate": count / first["seconds"],
        "unchanged_rate": count / same["seconds"],
        "max_age_rate": count / fresh["seconds"],
        "max_age_gets": fresh["gets"],
        "repeated_gets": often["gets"],
        "repeated_urls": count // 10,
        "repeated_cpu": often["worker_s"] / first["worker_s"],
    }


def _run(real: Ground, urls: list[str], **options: str) -> tuple[dict[str, float], list[str]]:
    """What a request took, and its output URLs."""
    before = _hits(real)
    with real.usage() as usage:
        accepted = real.service.upload(inputs.sheet_of(iter(urls)), **options)
        status = real.service.finish(accepted["requestId"], seconds=600, every=0.25)
    started = datetime.fromisoformat(status["startedAt"])
    seconds = (datetime.fromisoformat(status["completedAt"]) - started).total_seconds()
    assert status["completedImages"] == len(urls), status["errors"]
    output = real.service.get(status["links"]["outputCsv"]).text.splitlines()[1:]
    found = {
        "seconds": seconds,
        "worker_s": usage.cpu("service", WORKER),
        "gets": _hits(real) - before,
    }
    return found, [line.split(",")[3] for line in output]


def _hits(real: Ground) -> int:
    """GETs of pictures; the origin counts those with a query under two names."""
    hits = requests.get(f"{real.near.url}/_stats", timeout=5).json()["hits"]
    return int(sum(count for target, count in hits.items() if "?" in target))


if __name__ == "__main__":
    main()
