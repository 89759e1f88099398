"""Runs the server as a process: it listens, and finishes running requests before it ends."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import uvicorn
from fastapi import FastAPI

from r2ag.errors import InputError
from r2ag.server.guard import LOOPBACK
from r2ag.server.keys import Keys
from r2ag.server.limits import Limits
from r2ag.server.log import log_as_json


def names_of(host: str, further: list[str]) -> frozenset[str]:
    """Names that requests may give in the Host header; 0.0.0.0 and :: stand for no name."""
    own = {host.strip("[]").lower()} if host not in ("0.0.0.0", "::") else set()
    return LOOPBACK | own | {name.lower() for name in further}


def check_exposure(host: str, keys: Keys) -> None:
    """Refuses to serve other machines without keys.

    Raises:
        InputError: says what to do.
    """
    if not keys and not _is_loopback(host):
        raise InputError(
            f"--host {host} lets other machines ask, and there are no API keys; name a file of them with --keys, "
            "or leave --host out."
        )


def bind(host: str, port: int) -> socket.socket:
    """Opens a listening socket; port 0 takes a free one.

    Raises:
        InputError: the address can't be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise InputError(f"{host}, port {port}, can't be listened on ({error.strerror}); name another port.") from None
    except UnicodeError:  # of a name with an empty or too long part
        raise InputError(f"--host {host[:80]} is no name of a machine; check it.") from None
    listening.listen()
    return listening


def run(app: FastAPI, listening: socket.socket, limits: Limits) -> None:
    """Serves until SIGTERM or Ctrl-C; then refuses new requests and ends when the running ones are done."""
    log_as_json()
    new_server(app, limits).run(sockets=[listening])


def new_server(app: FastAPI, limits: Limits) -> uvicorn.Server:
    """A uvicorn server for an app."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=int(limits.deadline_s) + 1,
    )
    return uvicorn.Server(config)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
