"""A browser and the real `onethread demo` process, for the tests of pages."""

import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 20.0


@dataclass
class Demo:
    """A running `onethread demo`: its address and the one-time login it printed."""

    base: str
    login: str
    process: subprocess.Popen[str] = field(repr=False)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def start_demo(data: Path, port: int | None = None) -> Demo:
    """Start it and wait until it is ready. Raises AssertionError with what it printed."""
    port = port or free_port()
    command = [sys.executable, "-m", "hub.cli", "demo", "--port", str(port), "--no-browser"]
    process = subprocess.Popen(
        [*command, "--data", str(data)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    # Read to the end, so that a full pipe never stops the process.
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    base = f"http://127.0.0.1:{port}"
    printed = re.compile(rf"{re.escape(base)}\S*login\S*")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        login = printed.search("".join(lines))
        if login and _is_ready(base):
            return Demo(base, login[0], process)
        time.sleep(0.05)
    process.kill()
    raise AssertionError("the demo did not come up:\n" + "".join(lines))


def _read(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stdout is not None
    lines.extend(process.stdout)


def _is_ready(base: str) -> bool:
    try:
        with urllib.request.urlopen(base + "/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    running = start_demo(tmp_path / "demo")
    yield running
    if running.process.poll() is None:
        running.stop()
    if running.process.stdout:
        running.process.stdout.close()


# For a module only: while Playwright's loop runs, no asyncio test can.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield launched
        launched.close()


@dataclass
class Watch:
    """What a page complained of; `expect` names what a test provokes on purpose."""

    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, *patterns: str) -> None:
        self.expected.extend(patterns)

    def follow(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def unexpected(self) -> list[str]:
        return [one for one in self.complaints if not any(re.search(p, one) for p in self.expected)]


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Fails the test on any error of the console, reports of the policy included."""
    watch = Watch()
    yield watch
    assert watch.unexpected() == []


Opens = Callable[..., Page]


@pytest.fixture
def open_page(chromium: Browser, demo: Demo, watch: Watch) -> Iterator[Opens]:
    """Open the demo, logged in, in a context of its own; options are Playwright's."""
    contexts: list[BrowserContext] = []

    def open_one(**options: Any) -> Page:
        settings = {"viewport": {"width": 1366, "height": 768}, "locale": "en-GB", **options}
        context = chromium.new_context(base_url=demo.base, **settings)
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        watch.follow(page)
        page.goto(demo.login)
        page.goto("/demo")
        return page

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def patience() -> Iterator[None]:
    """Wait for what is expected as long as a busy machine may need."""
    expect.set_options(timeout=10_000)
    yield
    expect.set_options(timeout=5_000)
