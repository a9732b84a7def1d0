"""The project's settings for a worker tree under test."""

from config.settings import *  # noqa: F403

CLUSTER_TICK = "tests.workers.tasks.tick"
