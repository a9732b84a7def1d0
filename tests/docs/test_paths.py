"""Every path that the documents name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("docs/architecture.md", "CONTRIBUTING.md")
# A path in backticks: with a slash or the ending of a file, and nothing that a shell would read.
PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md|toml))`")

# Made by running the service: not there in a new clone.
MADE = {"var/", "site/"}


@pytest.mark.parametrize("page", PAGES)
def test_every_path_exists(page: str) -> None:
    paths = set(PATH.findall((ROOT / page).read_text())) - MADE
    assert len(paths) > 10
    missing = [
        path
        for path in sorted(paths)
        if not (ROOT / path).exists() and not (ROOT / "imageproc" / path).exists()
    ]
    assert missing == []


def test_the_table_of_architecture_names_thirty_places() -> None:
    """At least thirty places to go to, so that the page stays the map of the whole."""
    table = (ROOT / "docs" / "architecture.md").read_text().partition("## Where to change what")[2]
    assert len(set(PATH.findall(table))) >= 30
