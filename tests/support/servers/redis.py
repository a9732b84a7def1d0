"""Redis from the operating system's package ``redis-server``."""

from __future__ import annotations

import shutil

import redis

from tests.support.servers.process import HOST, Server, free_ports, leash

BINARY = shutil.which("redis-server")


class Redis(Server):
    """In memory only; what it held is gone after a restart."""

    name = "redis"

    def __init__(self) -> None:
        super().__init__()
        self.port = free_ports(1)[0]

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def command(self) -> list[str]:
        assert BINARY, "redis-server is not installed"
        flags = ["--bind", HOST, "--port", str(self.port), "--save", "", "--appendonly", "no"]
        return [*leash(), BINARY, *flags, "--dir", str(self.folder)]

    def is_ready(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as connection:
                return bool(connection.ping())
        except redis.RedisError:
            return False
