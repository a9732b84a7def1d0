from tests.cluster.conftest import template, tree

__all__ = ["template", "tree"]
