"""Ports for servers that a test starts, and may start again on the same port."""

import random
import socket


def free_port() -> int:
    """A free port below those that the system gives to outgoing connections: one of these could
    take the port while its server is down."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
