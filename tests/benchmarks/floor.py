"""The floors: what the same machine does with nothing but aiohttp.

`--store FILE`: HMAC, JSON, one row a message in SQLite with group commit, synchronous=FULL.
`--reply PORT`: HMAC, JSON, one reply posted to the provider, nothing stored.
"""

import argparse
import asyncio
import hmac
import json
import queue
import sqlite3
import threading
import time
from typing import Any

from aiohttp import ClientSession, TCPConnector, web

from tests.benchmarks.wire import ACCOUNT, SECRET


class GroupCommit:
    """One writer thread: all that waits goes into one transaction."""

    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute("CREATE TABLE msg(id TEXT PRIMARY KEY, thread TEXT, ts REAL, body TEXT)")
        self.db.execute("CREATE INDEX t ON msg(thread, ts)")
        self.queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.loop = asyncio.get_running_loop()
        threading.Thread(target=self.write, daemon=True).start()

    def write(self) -> None:
        while True:
            batch = [self.queue.get()]
            try:
                while len(batch) < 1000:
                    batch.append(self.queue.get_nowait())
            except queue.Empty:
                pass
            self.db.execute("BEGIN")
            self.db.executemany("INSERT OR IGNORE INTO msg VALUES(?,?,?,?)", [r for r, _ in batch])
            self.db.execute("COMMIT")
            self.loop.call_soon_threadsafe(self.resolve, batch)

    def resolve(self, batch: list[Any]) -> None:
        for _, future in batch:
            if not future.done():
                future.set_result(None)

    async def put(self, row: tuple[object, ...]) -> None:
        future = self.loop.create_future()
        self.queue.put((row, future))
        await future


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store")
    parser.add_argument("--reply", type=int)
    chosen = parser.parse_args()
    store = GroupCommit(chosen.store) if chosen.store else None
    session = ClientSession(connector=TCPConnector(limit=32))
    url = f"http://127.0.0.1:{chosen.reply}/v25.0/{ACCOUNT}/messages"
    sending: set[asyncio.Task[None]] = set()

    async def send(to: str, name: str) -> None:
        body = {"messaging_product": "whatsapp", "to": to, "text": {"body": f"Hello {name}!"}}
        async with session.post(url, json=body) as answer:
            await answer.read()

    async def handle(request: web.Request) -> web.Response:
        body = await request.read()
        want = "sha256=" + hmac.new(SECRET, body, "sha256").hexdigest()
        if not hmac.compare_digest(want, request.headers.get("X-Hub-Signature-256", "")):
            return web.Response(status=403)
        value = json.loads(body)["entry"][0]["changes"][0]["value"]
        message = value["messages"][0]
        if store is not None:
            await store.put((message["id"], message["from"], time.time(), message["text"]["body"]))
        if chosen.reply:
            task = asyncio.ensure_future(
                send(message["from"], value["contacts"][0]["profile"]["name"])
            )
            sending.add(task)
            task.add_done_callback(sending.discard)
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/hooks/wa", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", chosen.port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
