"""A queue between processes in which the kernel does all the locking.

``multiprocessing.Queue`` guards its pipe with semaphores in user space: a process killed while it
holds one (an idle worker always holds the read lock) stops all others for ever, and one killed
in the middle of a write leaves half a message. A datagram socket hands every message whole to
exactly one reader, and a killed process holds nothing.
"""

import array
import fcntl
import os
import pickle
import socket
import struct
import termios
from queue import Empty
from typing import Any

WAIT_SECONDS = 1


class Channel:
    """Any picklable objects, of any size, from many processes to many. Make it before forking.

    Each message is one byte and a memory file: no size limit, and the bytes in the socket are the
    number of messages nobody has read yet. A full socket (some hundreds) makes ``put`` wait.
    """

    def __init__(self) -> None:
        self._writer, self._reader = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # The kernel's own time limit: all idle readers sleep in recv and one is woken a message.
        seconds = struct.pack("ll", WAIT_SECONDS, 0)
        self._reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)

    def put(self, message: Any) -> None:
        with os.fdopen(os.memfd_create("message"), "w+b") as file:
            pickle.dump(message, file, pickle.HIGHEST_PROTOCOL)
            file.flush()
            socket.send_fds(self._writer, [b"."], [file.fileno()])

    def receive(self) -> Any:
        """The next message; ``queue.Empty`` when none comes for a second."""
        try:
            _, fds, _, _ = socket.recv_fds(self._reader, 1, 1)
        except BlockingIOError as error:
            raise Empty from error
        with os.fdopen(fds[0], "rb") as file:
            file.seek(0)
            return pickle.load(file)  # noqa: S301 -- written by this cluster's own processes

    def get(self) -> Any:
        while True:
            try:
                return self.receive()
            except Empty:
                continue

    def unread(self) -> int:
        count = array.array("i", [0])
        fcntl.ioctl(self._reader, termios.FIONREAD, count)
        return count[0]
