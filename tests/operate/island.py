"""``manage.py worker`` in a network of its own, with cables to what it may reach.

Run as ``island.py NAME LOCAL:REMOTE…``. The worker finds nothing but 127.0.0.1 there; what it
dials at a LOCAL port is carried to the REMOTE port of the real loopback by *this* process, so that
SIGSTOP to it is a cut cable: nothing is refused, nothing arrives. Where network namespaces may not
be made, the worker shares the network there is; its cables can be cut all the same.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from imageproc.workers.lifeline import die_with_parent

MANAGE = Path(__file__).resolve().parents[2] / "manage.py"
HOST = "127.0.0.1"
CLONE_NEWUTS, CLONE_NEWNET = 0x04000000, 0x40000000  # <linux/sched.h>
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # netdevice(7)
libc = ctypes.CDLL(None, use_errno=True)

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def leave_for(name: str) -> int | None:
    """Enter a new network with its own loopback; a handle on the old one, None where refused."""
    old = os.open("/proc/self/ns/net", os.O_RDONLY)
    if libc.unshare(CLONE_NEWNET | CLONE_NEWUTS) != 0:
        return None
    socket.sethostname(name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
    return old


def work() -> None:
    """Start the tree; it ends with this process, however that ends."""
    parent = os.getpid()
    subprocess.Popen(
        [sys.executable, str(MANAGE), "worker"], preexec_fn=lambda: die_with_parent(parent)
    )


async def carry(cables: dict[int, socket.socket]) -> None:
    for port, listener in cables.items():
        await asyncio.start_server(cable_to(port), sock=listener)
    await asyncio.Event().wait()


def cable_to(port: int) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, port)
        except OSError:
            return writer.close()
        await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer))

    return answer


async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(1 << 16):
            target.write(data)
            await target.drain()
    target.close()


def main(name: str, *ports: str) -> None:
    old = leave_for(name)
    pairs = [[int(port) for port in pair.split(":")] for pair in ports]
    if old is None:
        pairs = [[local, remote] for local, remote in pairs if local != remote]
    cables = {remote: socket.create_server((HOST, local), backlog=512) for local, remote in pairs}
    work()
    if old is not None and libc.setns(old, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns failed")
    asyncio.run(carry(cables))


if __name__ == "__main__":
    main(*sys.argv[1:])
