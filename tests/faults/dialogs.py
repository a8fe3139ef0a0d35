"""Dialogs for the fault runs: every reply carries the token of the message it answers.

Each step is written into a record of its own, by which a test sees what ran, when, and in which
process. A message with the word "wait" stays in its step until the gate file is there.
"""

import asyncio
import errno
import json
import os
import time

from hub.chat import Chat, dialog

RECORD = "ONETHREAD_FAULT_RECORD"
GATE = "ONETHREAD_FAULT_GATE"
DELAY = "ONETHREAD_FAULT_DELAY"


@dialog("echo")
async def echo(chat: Chat) -> None:
    """Answers the opening message and asks; answers the answer and ends."""
    text = chat.opening.text
    await do_both(chat, text)
    await chat.say(f"re {text}")
    answer = await chat.ask(f"next {text}")
    await do_both(chat, answer.text)
    await chat.say(f"re {answer.text}")


async def do_both(chat: Chat, text: str) -> None:
    """Two steps: once the second has begun, the first must never run again."""
    await chat.call(prepare, chat.step_key, chat.customer.id, text)
    await chat.call(work, chat.step_key, chat.customer.id, text)


async def prepare(key: str, customer: str, text: str) -> None:
    note("prepare", key, customer, text)
    await asyncio.sleep(delay() / 3)


async def work(key: str, customer: str, text: str) -> str:
    """A step with a small delay, or one that waits for the gate."""
    note("begin", key, customer, text)
    what = "cut"
    try:
        if text.endswith(" wait"):
            await gate_opened()
        else:
            await asyncio.sleep(delay())
        what = "end"
    finally:
        note(what, key, customer, text)
    return text


def delay() -> float:
    return float(os.environ.get(DELAY, "0.1"))


async def gate_opened() -> None:
    while not os.path.exists(os.environ[GATE]):  # noqa: ASYNC110, ASYNC240  # no events for files
        await asyncio.sleep(0.05)


def note(what: str, key: str, customer: str, text: str) -> None:
    """Append one line; it begins a new one even after one that a kill cut short."""
    line = {
        "what": what,
        "key": key,
        "customer": customer,
        "text": text,
        "at": time.time(),
        "pid": os.getpid(),
    }
    record = os.open(os.environ[RECORD], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(record, b"\n" + json.dumps(line).encode())
    except OSError as error:
        # The disk that a storm fills is the hub's, and not this record's.
        if error.errno != errno.EFBIG:
            raise
    finally:
        os.close(record)
