"""The balancer of the highly available row: round-robin, and past a server that does not listen."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tests.acceptance.balancer import balanced


@contextmanager
def echo(name: bytes) -> Iterator[str]:
    """Run a server that answers every connection with its name and what it was sent."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(name + connection.recv(100))

        threading.Thread(target=serve, daemon=True).start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}"


def ask(url: str) -> bytes:
    port = int(url.rpartition(":")[2])
    with closing(socket.create_connection(("127.0.0.1", port), timeout=5.0)) as connection:
        connection.sendall(b"!")
        return b"".join(iter(lambda: connection.recv(100), b""))


def test_connections_go_to_each_server_in_turn():
    with echo(b"one") as one, echo(b"two") as two, balanced([one, two]) as url:
        assert sorted(ask(url) for _ in range(4)) == [b"one!", b"one!", b"two!", b"two!"]


def test_a_server_that_does_not_listen_is_passed_over():
    with closing(socket.create_server(("127.0.0.1", 0))) as gone:
        dead = f"https://127.0.0.1:{gone.getsockname()[1]}"
    with echo(b"one") as one, balanced([dead, one]) as url:
        assert [ask(url) for _ in range(3)] == [b"one!"] * 3
