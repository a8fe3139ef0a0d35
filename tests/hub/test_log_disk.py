"""A log that cannot be written costs its lines and nothing else."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from hub import log


@pytest.fixture
def full() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with Path("/dev/full").open("wb", buffering=0) as stream:
        log.configure("info", stream)
        yield
    logging.captureWarnings(False)
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


@pytest.mark.usefixtures("full")
def test_a_full_disk_breaks_nobody_who_logs() -> None:
    for _ in range(3):
        structlog.get_logger("hub").error("hooks are spooled")
        logging.getLogger("asyncio").error("something")
