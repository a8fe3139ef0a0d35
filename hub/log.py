"""One JSON line a log event, with nothing in it that must not leave the hub.

Rooms call `structlog.get_logger(__name__)`; an event is a constant English phrase and its fields
are ids, counts and codes. What slips in all the same is stopped here: fields named after secrets
or contents are blanked, registered secrets are cut out of every string, and an exception is told
by type and place, since its text may quote a customer.
"""

import contextlib
import logging
import re
import sys
import traceback
import uuid
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from hub.errors import HubError

REDACTED = "[redacted]"
SHORTEST_SECRET = 8
FRAMES_SHOWN = 8
FOREIGN_LENGTH = 300

# A field is blanked when any word of its name is a secret's, or its last word a content's:
# `token_hash` and `message_text` are, `content_type` is not.
_SECRET_WORDS = frozenset(
    {"password", "passwd", "secret", "secrets", "token", "tokens", "authorization"}
    | {"cookie", "cookies", "credential", "credentials", "apikey", "signature"}
)
_CONTENT_WORDS = frozenset(
    {"text", "body", "raw", "payload", "content", "caption", "quote", "subject", "note"}
)
_SECRET_PAIRS = ("api_key", "private_key")

Event = MutableMapping[str, Any]


class _Secrets:
    """The values to cut out of every string, also as they stand in a URL."""

    def __init__(self) -> None:
        self.values: set[str] = set()
        self.pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str]) -> None:
        for value in values:
            if len(value) >= SHORTEST_SECRET:
                self.values |= {value, quote(value), quote(value, safe="")}
        longest_first = sorted(self.values, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, longest_first))) if self.values else None

    def cut(self, text: str) -> str:
        return self.pattern.sub(REDACTED, text) if self.pattern else text


_secrets = _Secrets()


def register_secrets(*values: str) -> None:
    """From now on these values never appear in a log line. Values under eight characters
    are left out: cutting them would blank ordinary words."""
    _secrets.add(values)


def configure(level: str = "info", stream: BinaryIO | None = None) -> None:
    """Send all logging of this process, the standard library's too, to `stream` (default:
    standard error) as JSON lines from `level` (debug, info, warning, error) up. Libraries talk
    much at info, so theirs are shown from warning up, from info only when level is debug."""
    number = logging.getLevelNamesMapping()[level.upper()]
    out = _Lossy(stream or sys.stderr.buffer)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _name,
            tell_exception,
            redact,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *names: _Lines(out, *names),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(logging.INFO if level == "debug" else max(number, logging.WARNING))
    logging.captureWarnings(True)


class _Lossy:
    """A stream of which nobody hears that it cannot be written: on a full disk the hub loses log
    lines, and no work that wanted to tell of something."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(line)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


class _Lines(structlog.BytesLogger):
    def __init__(self, stream: _Lossy, name: str = "") -> None:
        super().__init__(stream)  # type: ignore[arg-type]  # it only writes and flushes
        self.name = name


class _Bridge(logging.Handler):
    """Takes the standard library's records. Only the first line of a record is kept: asyncio
    and others append reprs of what they failed on."""

    def emit(self, record: logging.LogRecord) -> None:
        logger: FilteringBoundLogger = structlog.get_logger(record.name)
        try:
            first, *_ = record.getMessage().splitlines() or [""]
        except (TypeError, ValueError):
            first = str(record.msg)
        logger.log(record.levelno, first[:FOREIGN_LENGTH], exc_info=record.exc_info)


def _name(logger: Any, _method: str, event: Event) -> Event:
    if name := getattr(logger, "name", ""):
        event["logger"] = name
    return event


def tell_exception(_logger: Any, _method: str, event: Event) -> Event:
    """`exc_info` becomes `error` and `at_lines`. Only the hub's own errors keep their text, as
    they are written without contents or secrets."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = _error_text(error)
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        frames = traceback.extract_tb(error.__traceback__)[-FRAMES_SHOWN:]
        event["at_lines"] = [f"{_short(f.filename)}:{f.lineno} {f.name}" for f in frames]
    return event


def _error_text(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, BaseExceptionGroup):
        return f"{name}({', '.join(map(_error_text, error.exceptions))})"
    if isinstance(error, HubError) and str(error) not in ("", name):
        return f"{name}: {error}"
    return name


def _short(filename: str) -> str:
    return "/".join(Path(filename).parts[-2:])


def redact(_logger: Any, _method: str, event: Event) -> Event:
    """Blank what is private by its key, and cut registered secrets out of the rest."""
    return {key: _clean(key, value) for key, value in event.items()}


def _clean(key: str, value: Any) -> Any:
    if isinstance(value, bool | int | float | None):
        return value
    if _is_private(key):
        return REDACTED
    return _clean_value(value)


def _clean_value(value: Any) -> Any:
    if isinstance(value, str):
        return _secrets.cut(value)
    if isinstance(value, Mapping):
        return {_secrets.cut(str(key)): _clean(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean_value(item) for item in value]
    if isinstance(value, BaseException):
        return _secrets.cut(_error_text(value))
    return value


@lru_cache(maxsize=1024)
def _is_private(key: str) -> bool:
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", key).lower()
    words = plain.split("_")
    return (
        not _SECRET_WORDS.isdisjoint(words)
        or words[-1] in _CONTENT_WORDS
        or any(pair in plain for pair in _SECRET_PAIRS)
    )


def render(_logger: Any, _method: str, event: Event) -> bytes:
    return orjson.dumps(event, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> str:
    """Ids are read as the API shows them; of any other object only the type is told, as its
    repr may hold contents."""
    if isinstance(value, bytes) and len(value) == 16:
        return str(uuid.UUID(bytes=value))
    if isinstance(value, Path):
        return _secrets.cut(str(value))
    return f"<{type(value).__name__}>"
