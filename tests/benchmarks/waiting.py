"""A turn that is nothing but waiting: a dialog that asks an action server, and that server.

    python -m tests.benchmarks.waiting --port N

answers `GET /book` after 100 ms. GET /stats tells by which worker each call was made.
"""

import argparse
import asyncio
import os
from collections import Counter

import aiohttp
from aiohttp import web

from hub.chat import Chat, dialog

ANSWERS_AFTER = 0.1  # seconds
SERVER = "ONETHREAD_BENCH_ACTIONS"
"""The variable of a worker's environment that names the server's URL."""


@dialog("waiting")
async def waiting(chat: Chat) -> None:
    code = await chat.call(book, chat.step_key)
    await chat.say(f"{chat.customer.name} has {code}")


async def book(key: str) -> str:
    """A connection for each call, as a step that keeps nothing between calls has it."""
    query = {"key": key, "worker": str(os.getpid())}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{os.environ[SERVER]}/book", params=query) as answer,
    ):
        answer.raise_for_status()
        return await answer.text()


class Actions:
    """An action server that answers everyone at once, and each after the same time."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()

    async def book(self, request: web.Request) -> web.Response:
        await asyncio.sleep(ANSWERS_AFTER)
        self.calls[request.query["worker"]] += 1
        self.keys[request.query["key"]] += 1
        return web.Response(text=f"code {len(self.keys)}")

    async def stats(self, _request: web.Request) -> web.Response:
        again = sum(count - 1 for count in self.keys.values())
        return web.json_response({"again": again, **self.calls})

    async def reset(self, _request: web.Request) -> web.Response:
        self.calls.clear()
        self.keys.clear()
        return web.json_response({})


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    actions = Actions()
    app = web.Application()
    app.router.add_get("/book", actions.book)
    app.router.add_get("/stats", actions.stats)
    app.router.add_post("/reset", actions.reset)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", parser.parse_args().port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
