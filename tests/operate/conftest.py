from tests.workers.conftest import template, tree

__all__ = ["template", "tree"]
