"""When a message that could not be delivered is sent again."""

import random
from collections.abc import Sequence

# Seconds before the second, third … attempt, up to three days in all: what Standard Webhooks 1.0
# recommends. Mail servers that refuse strangers at first take the second or third attempt
# (RFC 6647, 2.1).
SCHEDULE = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)


def wait_after(attempts: int, schedule: Sequence[float] = SCHEDULE, at_least: float = 0.0) -> float:
    """Seconds to the next attempt: the schedule's plus up to 10 % of jitter, or ``at_least``."""
    jitter = random.uniform(1.0, 1.1)  # noqa: S311
    return max(schedule[attempts - 1] * jitter, at_least)
