"""Primary keys that sort by the moment they were made."""

from uuid import UUID

import uuid_utils
import uuid_utils.compat


def uuid7() -> UUID:
    """A UUID of version 7 (RFC 9562, 5.7).

    Made in file order by the ingest, so that ``ORDER BY id`` is the order of the CSV. Within a
    millisecond it counts up; its last 32 bits are random.
    """
    return uuid_utils.compat.uuid7()


def uuid7_text() -> str:
    """The same as text, for rows by the million: 0.3 µs where the object and its text take 3."""
    return str(uuid_utils.uuid7())
