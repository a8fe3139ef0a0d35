"""One dialog in the terminal: what it says is printed, what is typed is the answer."""

import asyncio
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

from hub import i18n
from hub.chat import Command, Customer, Dialog, HandOver, Message, collect
from hub.errors import SettingsError
from hub.replay import Cancelled, HandedOver, Outcome, TimedOut, Waiting
from hub.testing.rehearsal import Rehearsal

CHANNEL = "terminal"


async def converse(
    dialog: str | Dialog,
    modules: Sequence[str] = ("dialogs",),
    *,
    language: str = "",
    lines: TextIO | None = None,
    out: TextIO | None = None,
) -> None:
    """Talk to `dialog`, by its name in `modules`, until it ends or there are no more lines.

    It begins as if its first trigger phrase had been written. It speaks `language`, or else the
    one in which the answers are written. Time-outs happen in real time. Raises SettingsError
    when there is no such dialog, and what the dialog raises.
    """
    chosen = _find(dialog, modules) if isinstance(dialog, str) else dialog
    page = out or sys.stdout
    rehearsal = Rehearsal(chosen, Customer(CHANNEL, language=language or i18n.DEFAULT), CHANNEL)
    typed = _read_lines(lines or sys.stdin)
    _print(await rehearsal.take(Message.of(_opening(chosen, language))), page)
    while isinstance(rehearsal.outcome, Waiting):
        waiting = rehearsal.outcome
        try:
            line = await asyncio.wait_for(typed.get(), waiting.timeout)
        except TimeoutError:
            _print(await rehearsal.handle(TimedOut(waiting.step)), page)
            continue
        if line is None:
            return
        if not language:
            written = i18n.detect(line) or rehearsal.customer.language
            rehearsal.customer = replace(rehearsal.customer, language=written)
        _print(await rehearsal.take(Message.of(line)), page)
    _write(f"({_tell(rehearsal.outcome)})", page)


def _find(name: str, modules: Sequence[str]) -> Dialog:
    dialogs = collect(modules)
    if name not in dialogs:
        raise SettingsError(f"no dialog named {name}; there are {', '.join(sorted(dialogs))}")
    return dialogs[name]


def _opening(dialog: Dialog, language: str) -> str:
    fitting = [phrase for phrase in dialog.on if i18n.detect(phrase) == language]
    return next(iter([*fitting, *dialog.on]), "")


def _read_lines(lines: TextIO) -> "asyncio.Queue[str | None]":
    """The lines as they come, then None. A thread reads, since a terminal cannot be awaited."""
    typed: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            for line in iter(lines.readline, ""):
                if line.strip():
                    loop.call_soon_threadsafe(typed.put_nowait, line.strip())
            loop.call_soon_threadsafe(typed.put_nowait, None)
        except RuntimeError:
            return  # the conversation ended and its loop is closed

    threading.Thread(target=read, daemon=True, name="terminal").start()
    return typed


def _print(commands: list[Command], page: TextIO) -> None:
    for command in commands:
        if isinstance(command, HandOver):
            continue
        message = command.message
        _write(message.text or f"({message.kind})", page)
        number = 0
        for button in message.buttons:
            number += not button.url
            _write(
                f"   {button.title}: {button.url}"
                if button.url
                else f"{number:>4}. {button.title}",
                page,
            )


def _tell(outcome: Outcome | None) -> str:
    if isinstance(outcome, HandedOver):
        return f"handed over to the agents: {outcome.note}" if outcome.note else "handed over"
    return "cancelled" if isinstance(outcome, Cancelled) else "the dialog has ended"


def _write(line: str, page: TextIO) -> None:
    page.write(f"{line}\n")
    page.flush()
