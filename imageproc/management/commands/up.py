"""Runs the whole service in the foreground."""

import ipaddress
import os
import socket
import sys
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.http.request import split_domain_port

from imageproc.management.commands.worker import clusters, grace
from imageproc.management.database import migrate
from imageproc.workers.supervisor import Program, Supervisor


class Command(BaseCommand):
    help = "Migrate, then run the web server and the workers until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address", nargs="?", default="127.0.0.1:8000", metavar="HOST:PORT")

    def handle(self, *args: Any, address: str, **options: Any) -> None:
        host, port = _parse(address)
        _refuse_open_door(host)
        listener = _listen(host, port)
        _open_to_itself(listener)
        migrate()
        if not settings.DEBUG:
            call_command("collectstatic", interactive=False, verbosity=0)
        self.stdout.write(f"http://{_join(*listener.getsockname()[:2])}/  (Ctrl-C stops it)")
        self.stdout.flush()
        programs = [_web(listener), *clusters()]
        sys.exit(Supervisor(programs, grace=grace(), on_stop=listener.close).run())


def _parse(address: str) -> tuple[str, int]:
    host, port = split_domain_port(address)
    if not host or not port:
        raise CommandError(f"{address} is not HOST:PORT, such as 127.0.0.1:8000.", returncode=2)
    return host.strip("[]"), int(port)


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _refuse_open_door(host: str) -> None:
    if settings.API_ANONYMOUS and not _is_loopback(host):
        raise CommandError(
            f"{host} can be reached from other machines while API_ANONYMOUS lets everyone in "
            "without a key. Set API_ANONYMOUS=false, or listen on 127.0.0.1.",
            returncode=2,
        )


def _open_to_itself(listener: socket.socket) -> None:
    """On a laptop the workers may fetch the sample catalogue from this very service.

    Only where everyone on the machine is let in anyway (API_ANONYMOUS, which listens on loopback
    only), and only while the operator has opened nothing; the children inherit it.
    """
    names = ("OUTBOUND_ALLOW_CIDRS", "OUTBOUND_ALLOW_PORTS")
    if not settings.API_ANONYMOUS or any(os.environ.get(name) for name in names):
        return
    host, port = listener.getsockname()[:2]
    os.environ["OUTBOUND_ALLOW_CIDRS"] = str(ipaddress.ip_network(host))
    os.environ["OUTBOUND_ALLOW_PORTS"] = ",".join(map(str, [*settings.OUTBOUND_ALLOW_PORTS, port]))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    """Bound before anything starts; the web server inherits it, so its restart loses no client."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CommandError(
            f"Cannot listen on {_join(host, port)}: {reason}. Is it running already? "
            "Stop it, or use another HOST:PORT.",
            returncode=2,
        ) from error


def _web(listener: socket.socket) -> Program:
    fd = listener.fileno()
    return Program(
        name="web server",
        command=[
            *(sys.executable, "-m", "gunicorn", "--config", "python:config.gunicorn"),
            *("--chdir", str(settings.BASE_DIR), "--bind", f"fd://{fd}", "config.wsgi"),
        ],
        pass_fds=(fd,),
    )
