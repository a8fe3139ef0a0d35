"""Intake and the whole loop, each against its floor, in alternating runs."""

import asyncio
import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks.processes import (
    call,
    cpu_seconds,
    free_port,
    hub_settings,
    running,
)
from tests.benchmarks.wire import Client, request, text_hook

INTAKE_FLOOR, LOOP_FLOOR, LATENCY_FLOOR = 0.40, 0.18, 5.0


async def pump(port: int, run: str, count: int, connections: int) -> tuple[float, int]:
    """Post `count` hooks of new customers as `pump_bodies` does."""
    at = int(time.time())
    return await pump_bodies(port, [text_hook(run, n, at) for n in range(count)], connections)


async def pump_bodies(port: int, bodies: Sequence[bytes], connections: int) -> tuple[float, int]:
    """Post hooks as fast as they are answered: seconds, and how many were not 200."""
    client = Client(port, connections)
    await client.open()
    prepared = [request(port, "/hooks/wa", body) for body in bodies]
    done = asyncio.Event()
    bad, left = 0, len(bodies)

    def answered(status: int) -> None:
        nonlocal bad, left
        bad += status != 200
        left -= 1
        if not left:
            done.set()

    start = time.monotonic()
    for raw in prepared:
        client.send(raw, answered)
    await done.wait()
    took = time.monotonic() - start
    client.close()
    await asyncio.sleep(0)  # for their end
    return took, bad


async def arrive(port: int, run: str, count: int, rate: float) -> list[float]:
    """Post at a fixed rate whatever the server does: the seconds each answer took from when its
    request was due."""
    client = Client(port, 64)
    await client.open()
    at = int(time.time())
    prepared = [request(port, "/hooks/wa", text_hook(run, n, at)) for n in range(count)]
    took: list[float] = []
    done = asyncio.Event()
    start = time.monotonic() + 0.1

    def answered(due: float) -> Callable[[int], None]:
        def note(_status: int) -> None:
            took.append(time.monotonic() - due)
            if len(took) == count:
                done.set()

        return note

    for number, raw in enumerate(prepared):
        due = start + number / rate
        wait = due - time.monotonic()
        if wait > 0.0005:
            await asyncio.sleep(wait)
        client.send(raw, answered(due))
    await asyncio.wait_for(done.wait(), 60)
    client.close()
    return sorted(took)


async def whole_loop(port: int, provider: int, count: int, *, receipts: bool) -> tuple[float, str]:
    """`loop_of` with new customers."""
    run, at = secrets.token_hex(3), int(time.time())
    bodies = [text_hook(run, n, at) for n in range(count)]
    return await loop_of(port, provider, run, bodies, receipts=receipts)


async def loop_of(
    port: int, provider: int, run: str, bodies: Sequence[bytes], *, receipts: bool
) -> tuple[float, str]:
    """Messages a second from the first hook to the last reply (and receipt answered), and what
    makes the run void, or ""."""
    count = len(bodies)
    call(provider, f"/reset?run={run}", "POST")
    started = time.monotonic()
    _, bad = await pump_bodies(port, bodies, 16)
    end = time.monotonic() + 60 + count / 100
    while time.monotonic() < end:
        stats = call(provider, "/stats")
        if stats["arrived"] >= count and stats["receipts_ok"] >= 3 * count * receipts:
            break
        await asyncio.sleep(0.05)
    lost = count - stats["arrived"]
    void = {
        "lost": lost,
        "doubled": stats["doubled"],
        "disordered": stats["disordered"],
        "strange": stats["strange"],
        "refused": bad,
        "receipts not 200": stats["receipts_bad"],
    }
    return count / (stats["last_at"] - started), ", ".join(f"{k} {v}" for k, v in void.items() if v)


def measure_intake(rounds: int = 5, count: int = 6000) -> None:
    """Signed hooks of distinct customers, answered after the durable commit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        hub, floor, provider = free_port(), free_port(), free_port()
        with (
            running(floor, "-m", "tests.benchmarks.floor", "--port", str(floor), "--store",
                    str(folder / "floor.db"), log=log),
            running(provider, "-m", "tests.benchmarks.provider", "--port", str(provider), log=log),
            running(hub, "-m", "tests.benchmarks.intake_only", str(hub_settings(folder, provider)),
                    str(hub), log=log) as process,
        ):  # fmt: skip
            ratios, rates, costs = [], [], []
            asyncio.run(pump(hub, secrets.token_hex(3), 1000, 16))
            for _ in range(rounds):
                run = secrets.token_hex(3)
                floor_s, _ = asyncio.run(pump(floor, run, count, 16))
                before = cpu_seconds(process.pid)
                hub_s, bad = asyncio.run(pump(hub, run, count, 16))
                assert not bad, f"{bad} hooks were not answered 200"
                costs.append((cpu_seconds(process.pid) - before) / count * 1e6)
                ratios.append(floor_s / hub_s)
                rates.append(count / hub_s)
        tell("intake", rates, ratios, costs, INTAKE_FLOOR)


def measure_loop(rounds: int = 5, count: int = 2000) -> None:
    """Hook in, welcome dialog, reply at the provider, three receipts back."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        hub, floor, sink, plain = free_port(), free_port(), free_port(), free_port()
        with (
            running(plain, "-m", "tests.benchmarks.provider", "--port", str(plain), log=log),
            running(floor, "-m", "tests.benchmarks.floor", "--port", str(floor), "--reply",
                    str(plain), log=log),
            running(hub, "-m", "hub.cli", "serve", "--config", str(hub_settings(folder, sink)),
                    "--port", str(hub), log=log) as process,
            running(sink, "-m", "tests.benchmarks.provider", "--port", str(sink),
                    "--receipts-to", str(hub), log=log),
        ):  # fmt: skip
            asyncio.run(whole_loop(hub, sink, 300, receipts=True))
            ratios, rates, costs = [], [], []
            for _ in range(rounds):
                floor_rate, _ = asyncio.run(whole_loop(floor, plain, count, receipts=False))
                before = cpu_seconds(process.pid)
                rate, void = asyncio.run(whole_loop(hub, sink, count, receipts=True))
                if void:
                    print(f"loop: VOID ({void})")
                    return
                costs.append((cpu_seconds(process.pid) - before) / count * 1e6)
                rates.append(rate)
                ratios.append(rate / floor_rate)
            tell("loop", rates, ratios, costs, LOOP_FLOOR)
            measure_latency(hub, floor, statistics.median(rates) / 2)


def measure_latency(hub: int, floor: int, rate: float) -> None:
    """The hook's answer at half of the reached rate, open loop, beside the floor's."""
    count = int(rate * 5)
    floor_took = asyncio.run(arrive(floor, secrets.token_hex(3), count, rate))
    hub_took = asyncio.run(arrive(hub, secrets.token_hex(3), count, rate))
    p99 = [took[int(len(took) * 0.99)] * 1000 for took in (hub_took, floor_took)]
    print(
        f"hook p99 at {rate:.0f}/s open loop: {p99[0]:.2f} ms, floor {p99[1]:.2f} ms,"
        f" ratio {p99[0] / p99[1]:.2f} (aim at most {LATENCY_FLOOR:.0f})"
    )


def tell(
    name: str,
    rates: list[float],
    ratios: list[float],
    costs: list[float],
    aim: float | None = None,
) -> None:
    wanted = f"; aim {aim:.0%}" if aim is not None else ""
    print(
        f"{name}: {statistics.median(rates):.0f}/s, {statistics.median(ratios):.1%} of its floor"
        f" (runs {min(ratios):.1%} to {max(ratios):.1%}{wanted}),"
        f" {statistics.median(costs):.0f} us CPU a message;"
        " lost 0, doubled 0, refused 0"
    )
