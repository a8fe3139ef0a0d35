"""Traces as a collector hears them over HTTP: whole journeys, and nothing of customers."""

import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

from connectors.sandbox import twilio, whatsapp
from hub.clock import Clock, answer_id, new_id
from hub.errors import SettingsError
from hub.settings import load_settings, secret_values
from hub.store.schema import messages
from hub.traces import trace_id
from tests.posting import WA_ID, post_sms, post_wa, sms_form, text_item, wa_body, wa_signature
from tests.running import AUTH_TOKEN, CUSTOMER, WA_SECRET, WA_TOKEN, House, running_hub

FLOWS = {"modules": ["tests.flows"], "default": "echo"}
TEXT = "আমার অর্ডার 4711 কোথায়"


@dataclass
class Collector:
    url: str = ""
    status: int = 200
    spans: list[Any] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        body = await request.read()
        self.paths.append(request.path)
        if self.status == 200:
            self.bodies.append(body)
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(
                    {a.key: a.value.string_value for a in group.resource.attributes}
                )
                self.spans += [span for scope in group.scope_spans for span in scope.spans]
        return web.Response(status=self.status)

    def named(self, name: str) -> list[Any]:
        found = [span for span in self.spans if span.name == name]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def one(self, name: str) -> Any:
        [span] = self.named(name)
        return span


def about(span: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in span.attributes}


@contextlib.asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/{path:.*}", collector.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def traced(folder: Path, url: str, *, share: float = 1.0, **how: Any) -> AsyncIterator[House]:
    hub = {"traces": url, "traces_share": share}
    async with running_hub(folder, dialogs=FLOWS, hub=hub, **how) as house:
        yield house


async def test_a_journey_is_one_trace_and_its_receipts_are_linked(tmp_path: Path) -> None:
    async with collecting() as collector:
        async with traced(tmp_path, collector.url) as house:
            await house.writes("wa", TEXT, name="Rima Akter")
            await house.until(lambda: house.counted("receipts", status="read"))
            await house.settled()
            [said, reply] = await house.rows()
        hook, store, turn, send = (collector.one(n) for n in ("hook", "store", "turn", "send"))
        assert {span.trace_id for span in (hook, store, turn, send)} == {
            trace_id(said["id"]).to_bytes(16)
        }
        assert hook.parent_span_id == b""
        assert [store.parent_span_id, turn.parent_span_id, send.parent_span_id] == [
            hook.span_id,
            store.span_id,
            turn.span_id,
        ]
        assert (hook.kind, turn.kind, send.kind) == (2, 1, 3), "server, internal, client"
        ids = {"onethread.conversation": said["conversation_id"].hex(), "onethread.channel": "wa"}
        assert about(hook).items() >= (ids | {"onethread.message": said["id"].hex()}).items()
        assert about(turn)["onethread.dialog"] == "echo"
        assert about(turn)["onethread.run.state"] == "done"
        assert about(send) == ids | {
            "onethread.message": reply["id"].hex(),
            "onethread.attempt": 1,
            "onethread.outcome": "sent",
        }
        for span in collector.spans:
            assert span.start_time_unix_nano <= span.end_time_unix_nano
            assert span.status.code == 0
        receipts = collector.named("receipt")
        assert [about(one)["onethread.status"] for one in receipts] == ["sent", "delivered", "read"]
        for one in receipts:
            assert [link.span_id for link in one.links] == [send.span_id]
            assert one.links[0].trace_id == send.trace_id != one.trace_id
        assert collector.resources[0]["service.name"] == "onethread"
        assert set(collector.paths) == {"/v1/traces"}


async def test_nothing_of_customers_and_no_secret_is_in_a_span(tmp_path: Path) -> None:
    async with collecting() as collector:
        async with traced(tmp_path, collector.url) as house:
            await house.writes("wa", TEXT, name="Rima Akter")
            await house.writes("sms", "4711 please")
            await house.until(lambda: house.counted("receipts", status="delivered") >= 2)
            await house.settled()
            external = [row["external_id"] for row in await house.rows()]
        heard = b"".join(collector.bodies)
        assert len(collector.named("send")) == 2
        for word in (
            *("4711", "অর্ডার", "Rima", WA_ID, WA_ID[-7:], "k" * 40),
            *(WA_SECRET, WA_TOKEN, AUTH_TOKEN, *external),
        ):
            assert word.encode() not in heard


async def test_the_trace_goes_on_in_another_process_after_a_failed_attempt(tmp_path: Path) -> None:
    clock = Clock()
    sandboxes = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox()}
    async with contextlib.AsyncExitStack() as stack:
        collector = await stack.enter_async_context(collecting())
        for one in sandboxes.values():
            one.now = lambda: clock.now() / 1e6
            await one.start()
            stack.push_async_callback(one.stop)
        how: dict[str, Any] = {"clock": clock, "sandboxes": sandboxes}
        sandboxes["wa"].add_fault("status", status=503, retry_after=3600)
        async with traced(tmp_path, collector.url, **how) as house:
            await house.writes("wa", TEXT)
            await house.until(lambda: house.counted("sends", state="queued"))
            await house.settled()
        clock.move(3601)
        async with traced(tmp_path, collector.url, **how) as house:
            await house.until(lambda: house.counted("sends", state="sent"))
            await house.until(lambda: house.counted("receipts", status="read"))
        first, second = collector.named("send")
        turn = collector.one("turn")
        assert [about(s)["onethread.attempt"] for s in (first, second)] == [1, 2]
        assert about(first)["onethread.outcome"] == "unreachable"
        assert (first.status.code, second.status.code) == (2, 0)
        assert first.trace_id == second.trace_id == collector.one("hook").trace_id
        assert first.parent_span_id == second.parent_span_id == turn.span_id
        assert first.span_id != second.span_id
        assert {link.span_id for r in collector.named("receipt") for link in r.links} == {
            second.span_id
        }


async def test_a_stranger_names_no_parent_and_a_repeat_is_told_as_one(tmp_path: Path) -> None:
    strange = f"00-{'ab' * 16}-{'cd' * 8}-01"
    body = wa_body(messages=[text_item("wamid.1", "one"), text_item("wamid.2", "two")])
    async with collecting() as collector:
        async with traced(tmp_path, collector.url) as house:
            signed = wa_signature(body) | {"traceparent": strange}
            assert await post_wa(house, body, signed) == 200
            assert await post_wa(house, body) == 200
            assert await post_sms(house, sms_form("SM1", "x"), signature="wrong") == 403
            await house.settled()
        hooks = collector.named("hook")
        assert len(hooks) == 4
        firsts = [one for one in hooks if not about(one)["onethread.duplicate"]]
        again = [one for one in hooks if about(one)["onethread.duplicate"]]
        assert len({one.trace_id for one in firsts}) == 2, "one trace for each message"
        for one in firsts:
            assert one.parent_span_id == b""
            assert one.trace_id != bytes.fromhex("ab" * 16)
            assert [(x.trace_id, x.span_id) for x in one.links] == [
                (bytes.fromhex("ab" * 16), bytes.fromhex("cd" * 8))
            ]
        parents = {one.trace_id: one.span_id for one in firsts}
        for one in again:
            assert one.parent_span_id == parents[one.trace_id]
            assert not one.links


async def test_a_share_takes_whole_traces(tmp_path: Path) -> None:
    async with collecting() as collector:
        async with traced(tmp_path, collector.url, share=0.5) as house:
            for n in range(30):
                await house.writes("sms", f"{n}", number=f"+88017110{n:05}")
            await house.until(lambda: house.counted("receipts", status="delivered") == 30, 40)
            await house.settled()
        kept = {span.trace_id for span in collector.named("hook")}
        assert 3 <= len(kept) <= 27, "half, but for one in 30 thousand runs"
        for name in ("store", "turn", "send"):
            assert {span.trace_id for span in collector.named(name)} == kept
        assert len(collector.named("receipt")) == 2 * len(kept)


async def test_a_collector_that_is_away_costs_a_warning_and_nothing_else(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with collecting() as collector:
            collector.status = 400
            async with traced(tmp_path, collector.url) as house:
                await house.writes("wa", TEXT)
                await house.settled()
                await house.until(lambda: collector.paths)
                await house.writes("wa", TEXT)
                await house.settled()
                assert len(await house.heard("wa")) == 2
            assert len(collector.paths) >= 2
        begun = time.monotonic()
        async with traced(tmp_path, "http://127.0.0.1:9") as house:
            await house.writes("wa", TEXT)
            await house.settled()
            begun = time.monotonic()
        assert time.monotonic() - begun < 12
    warned = [line for line in logs if "traces" in line["event"]]
    assert [line["log_level"] for line in warned] == ["warning", "warning"], "one for each hub"


async def test_it_is_off_by_default(tmp_path: Path) -> None:
    assert load_settings().hub.traces == ""
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.writes("wa", TEXT)
        await house.settled()
        [said, reply] = await house.rows(messages.c.kind == "text")
        assert reply["id"][8:] == said["id"][8:], "on or off, the ids are the same"


def test_off_it_imports_nothing_and_without_the_extra_it_says_what_to_install() -> None:
    code = """
import sys
import hub.app, hub.worker, hub.outbox, hub.intake
from hub.clock import Clock
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
sys.modules["opentelemetry.sdk.trace"] = None  # as if it were not installed
from hub.errors import SettingsError
from hub.traces import Traces
try:
    Traces("http://127.0.0.1:9", 1.0, Clock())
except SettingsError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("hub.traces: ")
    assert "pip install 'onethread[traces]'" in done.stdout


def test_settings() -> None:
    for wrong in ({"traces": "collector:4318"}, {"traces_share": 2}, {"traces_share": -0.1}):
        with pytest.raises(SettingsError, match=next(iter(wrong))):
            load_settings(None, {"hub": wrong})
    settings = load_settings(None, {"hub": {"traces": "http://me:hidden@collector:4318"}})
    assert "hidden" not in repr(settings)
    assert "hidden" in secret_values(settings)


def test_ids_of_answers() -> None:
    said = new_id()
    answers = [answer_id(said, n) for n in range(5000)]
    assert len({said, *answers}) == 5001
    assert answers[:4096] == sorted(answers[:4096])
    assert min(answers) > said
    for one in answers[:4096]:
        assert (one[6] >> 4, one[8] >> 6) == (7, 2), "a UUIDv7"
        assert trace_id(one) == trace_id(said)
    assert CUSTOMER.encode() not in said
