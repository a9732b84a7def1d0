from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.workers.harness import Tree, copy_database, empty_database


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return empty_database(tmp_path_factory.mktemp("template"))


@pytest.fixture
def tree(tmp_path: Path, template: Path, django_db_blocker: Any) -> Iterator[Callable[..., Tree]]:
    """Makes worker trees; what is left of them at the end is killed."""
    trees: list[Tree] = []

    def make(*command: str, **env: Any) -> Tree:
        trees.append(Tree(tmp_path, command or ("worker",), **env))
        return trees[-1]

    copy_database(template, tmp_path)
    with django_db_blocker.unblock():
        yield make
        for one in trees:
            if hasattr(one, "process"):
                one.end()
