"""`look_for_ever` goes on whatever the look does, and pauses only when nothing is found."""

import asyncio
import contextlib

from hub.errors import StoreUnavailable
from hub.pool import look_for_ever


async def test_it_looks_on_while_something_is_found_and_outlives_every_failure() -> None:
    done: list[str] = []
    answers = iter([2, 1, 0, StoreUnavailable("away"), 1, ZeroDivisionError(), 0])
    ended = asyncio.Event()

    async def look() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            done.append(type(answer).__name__)
            raise answer
        done.append(f"found {answer}")
        return answer

    async def pause() -> None:
        done.append("pause")
        if done.count("pause") == 4:
            ended.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(look_for_ever("things", look, pause))
    await asyncio.wait_for(ended.wait(), 5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert done == [
        *("found 2", "found 1", "found 0", "pause"),
        *("StoreUnavailable", "pause"),
        *("found 1", "ZeroDivisionError", "pause"),
        *("found 0", "pause"),
    ]
