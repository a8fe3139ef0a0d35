"""HTTP/1.1 at its leanest, for both sides of a load: drivers must cost less than what they load."""

import asyncio
import hmac
import json
import re
from collections import deque
from collections.abc import Callable

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.I)
SECRET = b"bench-app-secret"
ACCOUNT = "106540352242922"


def split(buffer: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Head, body and rest of the first message in `buffer`, or None when it is not whole."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    found = LENGTH.search(buffer, 0, end + 2)
    length = int(found[1]) if found else 0
    start = end + 4
    if len(buffer) < start + length:
        return None
    return buffer[:end], buffer[start : start + length], buffer[start + length :]


def request(port: int, path: str, body: bytes) -> bytes:
    """A signed POST as Meta sends it."""
    signature = hmac.digest(SECRET, body, "sha256").hex()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def change(value: dict[str, object]) -> bytes:
    """A webhook body of the WhatsApp Cloud API with one change."""
    facts = {"display_phone_number": "15550123", "phone_number_id": ACCOUNT}
    envelope = {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": "102290129340398",
                "changes": [
                    {
                        "field": "messages",
                        "value": {"messaging_product": "whatsapp", "metadata": facts, **value},
                    }
                ],
            }
        ],
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def text_hook(run: str, number: int, at: int, who: str = "") -> bytes:
    """One text, of a customer of her own unless `who` names one. Her name and the text carry the
    run (hex) and number."""
    who = who or str(880_000_000_000_000 + int(run, 16) % 10_000_000 * 100_000 + number)
    return change(
        {
            "contacts": [{"profile": {"name": f"tk-{run}-{number}"}, "wa_id": who}],
            "messages": [
                {
                    "from": who,
                    "id": f"wamid.{run}{number:012d}HBgLMTY1MDM4Nzk0MzkVAgASGBQ=",
                    "timestamp": str(at),
                    "text": {"body": f"Hello, this is tk-{run}-{number}"},
                    "type": "text",
                }
            ],
        }
    )


class Connection(asyncio.Protocol):
    """One keep-alive connection of a `Client`."""

    def __init__(self, client: "Client") -> None:
        self.client = client
        self.buffer = b""
        self.done: Callable[[int], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.client.free(self)

    def send(self, raw: bytes, done: Callable[[int], None]) -> None:
        self.done = done
        self.transport.write(raw)  # type: ignore[attr-defined]  # a TCP transport has write

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        found = split(self.buffer)
        if found is None or self.done is None:
            return
        head, _, self.buffer = found
        done, self.done = self.done, None
        self.client.free(self)
        done(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        if self.done is not None:
            done, self.done = self.done, None
            done(0)


class Client:
    """Sends prepared requests over a fixed number of connections, in the order given."""

    def __init__(self, port: int, connections: int) -> None:
        self.port = port
        self.connections = connections
        self._open: list[asyncio.Transport] = []
        self._idle: list[Connection] = []
        self._queue: deque[tuple[bytes, Callable[[int], None]]] = deque()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(self.connections):
            transport, _ = await loop.create_connection(
                lambda: Connection(self), "127.0.0.1", self.port
            )
            self._open.append(transport)

    def close(self) -> None:
        for transport in self._open:
            transport.abort()

    def send(self, raw: bytes, done: Callable[[int], None]) -> None:
        """`done` is called with the status, 0 when the connection was lost."""
        if self._idle:
            self._idle.pop().send(raw, done)
        else:
            self._queue.append((raw, done))

    def free(self, connection: Connection) -> None:
        if self._queue:
            connection.send(*self._queue.popleft())
        else:
            self._idle.append(connection)
