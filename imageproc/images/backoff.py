"""How long a failed attempt waits for its next."""

import random

FIRST_SECONDS = 2.0
FACTOR = 4.0
LONGEST_SECONDS = 600.0
# A longer Retry-After is cut to this.
LONGEST_RETRY_AFTER = 3600.0


def seconds_until_retry(attempt: int, retry_after: float | None = None) -> float:
    """Seconds after failed attempt number ``attempt`` (from 1).

    Exponential with full jitter in the upper half (2, 8, 32, 128 … s, each × 0.5 to 1), so that
    a burst of failures does not come back as a burst; never before ``retry_after`` seconds.
    """
    ceiling = min(LONGEST_SECONDS, FIRST_SECONDS * FACTOR ** (attempt - 1))
    wait = ceiling * random.uniform(0.5, 1.0)  # noqa: S311
    return max(wait, min(retry_after or 0.0, LONGEST_RETRY_AFTER))
