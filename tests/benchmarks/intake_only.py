"""A hub whose worker stays asleep: `python -m tests.benchmarks.intake_only SETTINGS PORT`."""

import sys
from pathlib import Path

import uvloop
from aiohttp import web

from hub.app import Ground, open_hub, prepare
from hub.process import spare_collector, watch_stop
from hub.settings import Settings, load_settings
from hub.web import create_app


async def main(settings: Settings, ground: Ground) -> None:
    async with open_hub(settings, ground=ground) as hub:
        await hub.worker.stop()
        runner = web.AppRunner(create_app(hub.state), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(sys.argv[2]), backlog=1024).start()
        spare_collector()
        await watch_stop().wait()
        await runner.cleanup()


if __name__ == "__main__":
    chosen = load_settings(Path(sys.argv[1]))
    uvloop.run(main(chosen, prepare(chosen)))
