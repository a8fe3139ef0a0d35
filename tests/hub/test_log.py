"""What a log line holds, and above all what it never holds."""

import asyncio
import io
import logging
import warnings
from collections.abc import Iterator

import orjson
import pytest
import structlog

from hub import log
from hub.clock import new_id
from hub.errors import Misconfigured
from hub.message import Message

SECRET = "EAAGm0PX/4ZCps+BA"


class Lines:
    def __init__(self) -> None:
        self.stream = io.BytesIO()

    def read(self) -> list[dict[str, object]]:
        return [orjson.loads(line) for line in self.stream.getvalue().splitlines()]

    @property
    def text(self) -> str:
        return self.stream.getvalue().decode()


@pytest.fixture
def lines() -> Iterator[Lines]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    found = Lines()
    log.configure("info", found.stream)
    yield found
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_a_line_is_json_with_time_level_logger_and_fields(lines: Lines) -> None:
    structlog.get_logger("hub.turn").info("turn committed", steps=3, conversation=new_id())
    [line] = lines.read()
    assert line["event"] == "turn committed"
    assert line["level"] == "info"
    assert line["logger"] == "hub.turn"
    assert line["steps"] == 3
    assert str(line["at"]).endswith("Z")
    assert len(str(line["conversation"])) == 36


def test_the_level_filters(lines: Lines) -> None:
    structlog.get_logger("hub.x").debug("not shown")
    logging.getLogger("alembic").info("not shown")
    assert lines.read() == []


def test_libraries_are_heard_in_debug(lines: Lines) -> None:
    log.configure("debug", lines.stream)
    logging.getLogger("alembic").info("shown")
    logging.getLogger("asyncio").debug("not shown")
    assert [line["event"] for line in lines.read()] == ["shown"]


@pytest.mark.parametrize(
    "key",
    [
        "text",
        "body",
        "token",
        "secret",
        "authorization",
        "Authorization",
        "access_token",
        "accessToken",
        "X-Hub-Signature-256",
        "app_secret",
        "reply_text",
        "secret_key",
        "password",
        "Set-Cookie",
        "raw",
    ],
)
def test_private_fields_are_blanked_at_any_depth(lines: Lines, key: str) -> None:
    structlog.get_logger("hub.x").info("seen", **{key: "আমার কথা"}, deep=[{key: ["আমার কথা"]}])
    [line] = lines.read()
    assert line[key] == log.REDACTED
    assert line["deep"] == [{key: log.REDACTED}]
    assert "কথা" not in lines.text


def test_counts_and_plain_fields_stay(lines: Lines) -> None:
    structlog.get_logger("hub.x").info(
        "seen", lease_token=7, text_length=12, content_type="image/png", channel="wa"
    )
    [line] = lines.read()
    assert (line["lease_token"], line["text_length"]) == (7, 12)
    assert (line["content_type"], line["channel"]) == ("image/png", "wa")


def test_registered_secrets_are_cut_from_every_string(lines: Lines) -> None:
    log.register_secrets(SECRET, "")
    logger = structlog.get_logger("hub.x")
    logger.warning(
        f"called with {SECRET}",
        url="https://graph.example/me?access=EAAGm0PX%2F4ZCps%2BBA&x=1",
        nested={"why": [f"Bearer {SECRET}"], SECRET: 1},
        error=Misconfigured(f"bad {SECRET}"),
    )
    logging.getLogger("aiohttp.client").warning("GET /bot%s/getMe", SECRET)
    assert "EAAGm0PX" not in lines.text
    first, second = lines.read()
    assert first["url"] == f"https://graph.example/me?access={log.REDACTED}&x=1"
    assert second["event"] == f"GET /bot{log.REDACTED}/getMe"


def test_short_values_are_not_taken_for_secrets(lines: Lines) -> None:
    log.register_secrets("a", "info")
    structlog.get_logger("hub.x").info("a plain information")
    assert lines.read()[0]["event"] == "a plain information"


def test_an_exception_is_told_by_type_and_place_not_by_text(lines: Lines) -> None:
    logger = structlog.get_logger("hub.x")
    try:
        raise ValueError("what the customer wrote")
    except ValueError:
        logger.exception("turn failed")
        logging.getLogger("aiohttp.server").exception("Error handling request")
    assert "customer" not in lines.text
    for line in lines.read():
        assert line["error"] == "ValueError"
        assert "test_log.py" in str(line["at_lines"])


def test_the_hubs_own_errors_keep_their_text(lines: Lines) -> None:
    group = ExceptionGroup("g", [Misconfigured("token expired", code="190"), KeyError("x")])
    structlog.get_logger("hub.x").error("send failed", exc_info=group)
    [line] = lines.read()
    assert line["error"] == "ExceptionGroup(Misconfigured: token expired, KeyError)"


def test_objects_are_told_by_type_alone(lines: Lines) -> None:
    structlog.get_logger("hub.x").info("seen", message=Message(text="গোপন"), data=b"secret bytes")
    [line] = lines.read()
    assert (line["message"], line["data"]) == ("<Message>", "<bytes>")


async def test_what_asyncio_says_of_a_lost_task_holds_no_text(lines: Lines) -> None:
    async def lose() -> None:
        raise ValueError("what the customer wrote")

    task = asyncio.create_task(lose())
    await asyncio.wait([task])
    del task
    assert "customer" not in lines.text
    assert any("never retrieved" in str(line["event"]) for line in lines.read())


def test_warnings_of_libraries_are_lines_too(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old call", DeprecationWarning, stacklevel=1)
    [line] = lines.read()
    assert line["logger"] == "py.warnings"
    assert line["level"] == "warning"
