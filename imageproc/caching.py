"""The shared cache, which may be away: an accelerator, without which everything goes on."""


def outages() -> tuple[type[Exception], ...]:
    """What a cache raises while it is away: ``except outages():``.

    Asked for only when something was raised: the client of Redis takes a tenth of a process's start
    to import, and most processes never meet it.
    """
    from redis.exceptions import RedisError

    return RedisError, OSError
