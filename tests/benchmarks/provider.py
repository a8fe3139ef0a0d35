"""A provider's send API that counts, and posts three receipts for each message it accepts.

    python -m tests.benchmarks.provider --port N [--receipts-to PORT --path /hooks/wa]

GET /stats tells what arrived; POST /reset?run=ID forgets it.
"""

import argparse
import asyncio
import json
import re
import time

from tests.benchmarks.wire import Client, change, request, split

TOKEN = re.compile(rb"tk-([0-9a-z]+)-([0-9]+)")
TO = re.compile(rb'"to": *"([0-9]+)"')
STATUSES = ("sent", "delivered", "read")


class Provider:
    def __init__(self, receipts: Client | None, path: str) -> None:
        self.receipts = receipts
        self.path = path
        self.serial = 0
        self.reset("")

    def reset(self, run: str) -> None:
        self.run = run.encode()
        self.seen: dict[bytes, int] = {}
        self.doubled = self.strange = self.disordered = 0
        self.receipts_sent = self.receipts_ok = self.receipts_bad = 0
        self.last: dict[bytes, int] = {}
        self.last_at = 0.0

    def accept(self, body: bytes) -> dict[str, object]:
        self.serial += 1
        id = f"wamid.out{self.run.decode()}{self.serial}"
        token = TOKEN.search(body)
        if token is None or token[1] != self.run:
            self.strange += 1
        else:
            self.doubled += token[0] in self.seen
            self.seen[token[0]] = self.seen.get(token[0], 0) + 1
            to = TO.search(body)
            if to is not None:
                number = int(token[2])
                self.disordered += number < self.last.get(to[1], 0)
                self.last[to[1]] = number
        self.last_at = time.monotonic()
        if self.receipts is not None:
            sent = json.loads(body)
            self._post_receipts(id, sent["to"], sent.get("biz_opaque_callback_data"))
        return {
            "messaging_product": "whatsapp",
            "contacts": [{"input": "1", "wa_id": "1"}],
            "messages": [{"id": id}],
        }

    def _post_receipts(self, id: str, to: str, correlation: str | None) -> None:
        assert self.receipts is not None
        at = str(int(time.time()))
        for status in STATUSES:
            fact = {"id": id, "status": status, "timestamp": at, "recipient_id": to}
            if correlation:
                fact["biz_opaque_callback_data"] = correlation
            body = change({"statuses": [fact]})
            self.receipts_sent += 1
            self.receipts.send(request(self.receipts.port, self.path, body), self._answered)

    def _answered(self, status: int) -> None:
        self.last_at = time.monotonic()
        if status == 200:
            self.receipts_ok += 1
        else:
            self.receipts_bad += 1

    def stats(self) -> dict[str, object]:
        return {
            "arrived": len(self.seen),
            "doubled": self.doubled,
            "strange": self.strange,
            "disordered": self.disordered,
            "receipts_sent": self.receipts_sent,
            "receipts_ok": self.receipts_ok,
            "receipts_bad": self.receipts_bad,
            "last_at": self.last_at,
        }

    def route(self, target: str, body: bytes) -> dict[str, object]:
        if target.startswith("/stats"):
            return self.stats()
        if target.startswith("/reset"):
            self.reset(target.partition("run=")[2])
            return {}
        return self.accept(body)


class Session(asyncio.Protocol):
    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while found := split(self.buffer):
            head, body, self.buffer = found
            target = head.split(b" ", 2)[1].decode()
            answer = json.dumps(self.provider.route(target, body)).encode()
            self.transport.write(  # type: ignore[attr-defined]  # a TCP transport has write
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(answer)
                + answer
            )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--receipts-to", type=int)
    parser.add_argument("--path", default="/hooks/wa")
    chosen = parser.parse_args()
    receipts = None
    if chosen.receipts_to:
        receipts = Client(chosen.receipts_to, 16)
        await receipts.open()
    provider = Provider(receipts, chosen.path)
    server = await asyncio.get_running_loop().create_server(
        lambda: Session(provider), "127.0.0.1", chosen.port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
