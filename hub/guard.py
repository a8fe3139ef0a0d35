"""What keeps a dialog to its rules while it runs, and gets it out of its coroutine again.

One operation at a time, each awaited in the dialog itself; nothing else is waited for; the signal
that puts a dialog aside passes. A breach ends the turn as `Failed` with a text that tells the
author what to change.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, NoReturn, TypeVar

from hub.chat import DialogMisuse
from hub.journal import Failed, Outcome

T = TypeVar("T")
Work = Coroutine[Any, Any, Any]

# A dialog that catches everything in a loop would otherwise keep its worker for ever.
MAX_IGNORED = 100


class Unwind(BaseException):
    """Carries a dialog out of its coroutine; no author's `except Exception` stops it."""


class Guard:
    """Watches one turn of the dialog `name`, in the task that makes it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._task = asyncio.current_task()
        self._open = ""
        self._unawaited: tuple[str, Work] | None = None
        self._unwind: Unwind | None = None
        self._outcome: Outcome | None = None
        self._fatal: BaseException | None = None
        self._ignored = 0
        self.is_calling = False

    async def drive(self, run: Work) -> None:
        """Await the dialog. Raises what it raises, at the end of a turn the `Unwind`."""
        await _Drive(run, self)

    def begin(self, op: str, body: Callable[..., Work], *args: object) -> Work:
        """The operation `op`, to be awaited: `body(*args)`, unless the dialog is unwinding."""
        if self._unwind is None:
            self._require_turn(op)
            if self._unawaited:
                other = self._unawaited[0]
                self.misuse(
                    f"chat.{other} before chat.{op} has no await, or both are in one gather: "
                    "await each where it is written"
                )
        elif self._unawaited:
            self._unawaited[1].close()
        work = self._perform(op, body, args)
        self._unawaited = (op, work)
        return work

    async def call(self, work: Awaitable[T]) -> T:
        """Await what only `chat.call` may wait for; what it raises comes out of `conclude`."""
        self.is_calling = True
        try:
            result = await work
        except BaseException as error:
            if self._unwind is None or isinstance(error, asyncio.CancelledError):
                self._fatal = error
                self._unwind = self._unwind or Unwind()
        finally:
            self.is_calling = False
        if self._unwind is not None:
            raise self._unwind
        return result

    @property
    def is_unwinding(self) -> bool:
        return self._unwind is not None

    def stop(self, outcome: Outcome) -> NoReturn:
        """End the turn with `outcome`."""
        self._outcome = outcome
        self._unwind = Unwind()
        raise self._unwind

    def misuse(self, text: str) -> NoReturn:
        """End the turn because the dialog breaks a rule."""
        error = DialogMisuse(f"dialog {self._name}: {text}")
        self._outcome = Failed(error)
        self._unwind = self._unwind or Unwind()
        raise self._unwind if asyncio.current_task() is self._task else error

    def conclude(self, error: BaseException | None) -> Outcome | None:
        """How the turn ended, `error` being what came out of `drive`.

        None when the dialog came to its end or let an exception out, by itself. Raises what `call`
        could not do.
        """
        if self._fatal is not None:
            if isinstance(self._fatal, asyncio.CancelledError) and not is_cancelled(self._task):
                return self._fail("chat.call was cancelled: put time-outs inside its step")
            raise self._fatal
        if self._unwind is None:
            if self._unawaited:
                return self._fail(f"chat.{self._unawaited[0]} has no await before it")
            return None
        if error is not self._unwind and not isinstance(self._outcome, Failed):
            return self._fail(
                "it caught the signal that puts it aside: catch Exception, nothing wider", error
            )
        return self._outcome

    def close(self) -> None:
        """Let go of what the turn held, so that it is freed at once."""
        if self._unawaited:
            self._unawaited[1].close()
        if self._unwind:
            self._unwind.__traceback__ = None

    def refuse_wait(self, waited: object) -> BaseException | None:
        """What to raise in a dialog that waits for `waited` outside `chat.call`; None: give up."""
        if asyncio.isfuture(waited):
            waited.cancel()
        self._ignored += 1
        if self._unwind is None:
            self._unwind = Unwind()
            self._outcome = self._fail(
                "it awaits something of its own (I/O, sleep, gather, a task): put it in chat.call"
            )
        return self._unwind if self._ignored <= MAX_IGNORED else None

    async def _perform(
        self, op: str, body: Callable[..., Work], args: tuple[object, ...]
    ) -> object:
        self._unawaited = None
        if self._unwind is not None:
            await self._ignore(op, self._unwind)
            return None
        self._require_turn(op)
        self._open = op
        try:
            return await body(*args)
        finally:
            self._open = ""

    def _require_turn(self, op: str) -> None:
        if asyncio.current_task() is not self._task:
            self.misuse(f"chat.{op} runs in a task of its own: await it in the dialog itself")
        if self._open:
            self.misuse(f"chat.{op} while chat.{self._open} is open: one operation at a time")

    async def _ignore(self, op: str, unwind: Unwind) -> None:
        self._ignored += 1
        if self._ignored > MAX_IGNORED:
            await _Nothing()
        if op != "say":
            raise unwind

    def _fail(self, text: str, cause: BaseException | None = None) -> Failed:
        error = DialogMisuse(f"dialog {self._name}: {text}")
        error.__cause__ = cause
        return Failed(error)


class _Drive:
    """Awaits a dialog step by step, so that it waits for nothing but what the guard lets it."""

    def __init__(self, run: Work, guard: Guard) -> None:
        self._run = run
        self._guard = guard

    def __await__(self) -> Generator[Any, None, None]:
        error: BaseException | None = None
        while True:
            try:
                waited = self._run.send(None) if error is None else self._run.throw(error)
            except StopIteration:
                return
            error = None
            if self._guard.is_calling:
                try:
                    yield waited
                except BaseException as thrown:
                    error = thrown
                continue
            error = self._guard.refuse_wait(waited)
            if error is None:
                _close(self._run)
                return


class _Nothing:
    """Gives the control back to `_Drive`, from a dialog that will not let go."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def is_cancelled(task: asyncio.Task[Any] | None) -> bool:
    """Whether somebody asked to cancel `task`, rather than a time-out inside it."""
    return task is not None and task.cancelling() > 0


def _close(run: Work) -> None:
    try:
        run.close()
    except RuntimeError:
        return  # it caught GeneratorExit too; the turn is reported as misuse all the same
