"""Hints between the processes of one hub, over Redis.

Work goes through one stream a topic with the consumer group `workers`, so that one process takes
each hint; news goes by pub/sub to all. A process that can begin with its own work keeps it: the
hint is not sent at all, and if that process dies the sweepers of the others find the work in the
store. For the same reason an entry is acknowledged when it is handed to the local listeners, not
when its work is done. What a process had read and not yet handed on when it died or froze is taken
over by another (XAUTOCLAIM).

Redis is never waited for by a caller, and none of its errors reaches one. While it is away hints
are dropped, which costs time and nothing else; the loops below reconnect by themselves, and a
Redis that comes back empty is set up again.
"""

import asyncio
import contextlib
import os
import random
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import structlog

from hub.bus import LIVES, WAKES, Bus, Listener, Live, Room, Topic, Wake, always
from hub.errors import SettingsError

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

log = structlog.get_logger(__name__)

PREFIX = "{onethread}"  # one hash slot, for those who run a cluster
GROUP = "workers"
FIELD = b"k"
KEPT = 10_000  # entries of a stream, roughly; what is trimmed, the sweepers find
MOST = 10_000  # hints that wait to be sent
AT_ONCE = 16  # entries read of one stream
PAUSE = 0.002  # seconds between two batches, so that a burst travels in few of them
BUSY_PAUSE = 0.02
BLOCK = 1.0
TIMEOUT = 0.5
LISTEN = 1.0
SILENCE = 4.0  # seconds without a word on a subscription until Redis is asked for one
CLAIM_EVERY, CLAIM_IDLE = 1.0, 2.0
FORGET_EVERY, FORGET_IDLE = 600.0, 3600.0
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


def connect(url: str, timeout: float = TIMEOUT, retries: int = 1) -> "Redis":
    """A client, not yet connected. Raises SettingsError."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    try:
        # RESP2, so that replies have one shape in all releases of the client.
        return Redis.from_url(
            url,
            protocol=2,
            socket_timeout=timeout,
            socket_connect_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), retries),
            client_name="onethread",
        )
    except ValueError:
        raise SettingsError("hub.redis: should be empty or redis://HOST:PORT/NUMBER") from None


async def ask_version(url: str) -> str:
    """The release of the Redis that answers there. Raises ConnectionError, SettingsError."""
    from redis.exceptions import RedisError

    client = connect(url, 2.0)
    try:
        found = await client.info("server")
    except (RedisError, OSError) as error:
        raise ConnectionError(type(error).__name__) from None
    finally:
        await client.aclose()
    return str(found.get("valkey_version") or found.get("redis_version"))


@contextlib.asynccontextmanager
async def open_redis_bus(url: str) -> AsyncIterator["RedisBus"]:
    """A bus between processes; it opens whether Redis is there or not. Raises SettingsError."""
    bus = RedisBus(url)
    tasks = [asyncio.create_task(bus.keep(name), name=f"redis {name}") for name in bus.loops]
    try:
        yield bus
    finally:
        await end(tasks)
        await bus.close()


async def end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel until it is heard: one that meets a time-out in the client, at the moment it connects
    anew, has been seen to get lost."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=TIMEOUT)


class RedisBus(Bus):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.client = self._sending = connect(url)
        """For short commands. They take half a second, or fail."""
        self._reading = connect(url, BLOCK + 2 * TIMEOUT, 0)
        self._following = connect(url, SILENCE, 0)
        self._id = secrets.token_bytes(8)
        self._name = f"{socket.gethostname()}-{os.getpid()}-{self._id.hex()[:8]}"
        # Pub/sub knows no databases: without the number two hubs on one Redis hear each other.
        self._number = int(self._sending.connection_pool.connection_kwargs.get("db") or 0)
        self._outgoing: dict[tuple[Topic, bytes], None] = {}
        self._handed: list[tuple[Wake, bytes]] = []
        self._has_outgoing, self._works, self._follows = (asyncio.Event() for _ in range(3))
        self._pubsub: PubSub | None = None
        self._followed: set[Live] = set()
        self._heard_at = 0.0
        self._has_groups = False
        self._claim_at = self._forget_at = 0.0
        self._lost: set[str] = set()
        self.loops: dict[str, Callable[[], Awaitable[None]]] = {
            "sender": self._send,
            "reader": self._read,
            "follower": self._follow,
        }

    @property
    def is_connected(self) -> bool:  # type: ignore[override]  # the plain bus always is
        return not self._lost

    @property
    def waiting(self) -> int:
        """Hints that were not sent yet."""
        return len(self._outgoing)

    def listen(self, topic: Topic, listener: Listener, room: Room = always) -> Callable[[], None]:
        (self._works if topic in WAKES else self._follows).set()
        return super().listen(topic, listener, room)

    def poke(self, topic: Topic, key: bytes = b"") -> None:
        if topic in LIVES:
            self._tell(topic, key)
        elif self._has_room(topic, key) or (self._listeners.get(topic) and self._lost):
            self._tell(topic, key)
            return
        self._hand_out(topic, key)

    def poke_others(self, topic: Live, key: bytes = b"") -> None:
        self._hand_out(topic, key)

    def _hand_out(self, topic: Topic, key: bytes) -> None:
        if len(self._outgoing) < MOST:
            self._outgoing[topic, key] = None
            self._has_outgoing.set()

    def _has_room(self, topic: Topic, key: bytes = b"") -> bool:
        return any(room(key) for _listener, room in self._listeners.get(topic, ()))

    async def keep(self, name: str) -> None:
        """Run one of `loops` for ever, slower after each failure in a row."""
        from redis.exceptions import RedisError

        work, pause = self.loops[name], FIRST_PAUSE
        while True:
            try:
                await work()
            except (RedisError, OSError, TimeoutError) as error:
                if not self._lost:
                    log.warning("redis is away", error=type(error).__name__)
                self._lost.add(name)
            except Exception as error:
                log.exception("redis bus failed", loop=name, error=type(error).__name__)
            else:
                pause = FIRST_PAUSE
                if self._lost == {name}:
                    log.info("redis is back")
                self._lost.discard(name)
                continue
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def close(self) -> None:
        """Send and acknowledge what is left, as far as Redis takes it at once."""
        from redis.exceptions import RedisError

        with contextlib.suppress(RedisError, OSError, TimeoutError):
            if self._outgoing:
                await self._send()
            await self._leave()
        if self._pubsub is not None:
            await self._drop_subscription()
        for client in (self._sending, self._reading, self._following):
            with contextlib.suppress(RedisError, OSError):
                await client.aclose()

    async def _send(self) -> None:
        """One batch of hints to the others."""
        if "sender" in self._lost and not self._outgoing:
            await self._sending.ping()
            return
        await self._has_outgoing.wait()
        self._has_outgoing.clear()
        batch, self._outgoing = self._outgoing, {}
        pipe = self._sending.pipeline(transaction=False)
        for topic, key in batch:
            if topic in LIVES:
                pipe.publish(self._channel(topic), self._id + key)
            else:
                pipe.xadd(_stream(topic), {FIELD: key}, maxlen=KEPT, approximate=True)
        await pipe.execute()
        await asyncio.sleep(PAUSE)

    async def _read(self) -> None:
        """Hand on what waits for a worker, as much as there is room for."""
        wanted = [topic for topic in WAKES if self._listeners.get(topic)]
        if not wanted:
            self._lost.discard("reader")
            self._works.clear()
            await self._works.wait()
            return
        open_topics = [topic for topic in wanted if self._has_room(topic)]
        if not open_topics:
            if self._handed:
                pipe = self._sending.pipeline(transaction=False)
                acknowledged = self._acknowledge(pipe)
                await pipe.execute()
                del self._handed[:acknowledged]
            await asyncio.sleep(BUSY_PAUSE)
            return
        if not self._has_groups:
            await self._make_groups()
        block = BLOCK if len(open_topics) == len(wanted) else BUSY_PAUSE
        pipe = self._reading.pipeline(transaction=False)
        acknowledged = self._acknowledge(pipe)
        claims = open_topics if self._is_time_to_claim() else []
        for topic in claims:
            pipe.xautoclaim(_stream(topic), GROUP, self._name, round(CLAIM_IDLE * 1000), count=64)
        pipe.xreadgroup(
            GROUP,
            self._name,
            {_stream(topic): b">" for topic in open_topics},
            count=AT_ONCE,
            block=round(block * 1000),
        )
        results = await pipe.execute(raise_on_error=False)
        for error in (result for result in results if isinstance(result, Exception)):
            if "NOGROUP" not in str(error) and "UNBLOCKED" not in str(error):
                raise error
            self._has_groups = False  # it came back empty
        if not self._has_groups:
            return
        del self._handed[:acknowledged]
        claimed = results[-1 - len(claims) : -1]
        for topic, (_next, entries, *_gone) in zip(claims, claimed, strict=True):
            self._hand_on(topic, entries)
        for name, entries in results[-1] or ():
            self._hand_on(_topic(name), entries)

    def _hand_on(self, topic: Wake, entries: list[tuple[bytes, dict[bytes, bytes] | None]]) -> None:
        for id, fields in entries:
            self._handed.append((topic, id))
            if fields and FIELD in fields:
                self._tell(topic, fields[FIELD])

    def _acknowledge(self, pipe: Any) -> int:
        """Add the acknowledgements to a pipeline; how many entries they are of."""
        for topic in WAKES:
            if ids := [id for handed, id in self._handed if handed == topic]:
                pipe.xack(_stream(topic), GROUP, *ids)
        return len(self._handed)

    def _is_time_to_claim(self) -> bool:
        now = time.monotonic()
        if now < self._claim_at:
            return False
        self._claim_at = now + CLAIM_EVERY
        return True

    async def _make_groups(self) -> None:
        from redis.exceptions import ResponseError

        for topic in WAKES:
            try:
                await self._reading.xgroup_create(_stream(topic), GROUP, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
        self._has_groups = True
        if time.monotonic() >= self._forget_at:
            self._forget_at = time.monotonic() + FORGET_EVERY
            await self._forget_the_dead()

    async def _forget_the_dead(self) -> None:
        """Remove consumers that have long been silent and hold nothing."""
        for topic in WAKES:
            for consumer in await self._reading.xinfo_consumers(_stream(topic), GROUP):
                if not consumer["pending"] and consumer["idle"] > FORGET_IDLE * 1000:
                    await self._reading.xgroup_delconsumer(_stream(topic), GROUP, consumer["name"])

    async def _leave(self) -> None:
        """Take this process out of the groups, unless it holds what others must take over."""
        if not self._has_groups:
            return
        pipe = self._sending.pipeline(transaction=False)
        self._acknowledge(pipe)
        for topic in WAKES:
            pipe.xpending_range(_stream(topic), GROUP, "-", "+", 1, consumername=self._name)
        held = (await pipe.execute())[-len(WAKES) :]
        for topic, entries in zip(WAKES, held, strict=True):
            if not entries:
                await self._sending.xgroup_delconsumer(_stream(topic), GROUP, self._name)

    async def _follow(self) -> None:
        """Tell the local listeners one piece of the others' news."""
        await self._follows.wait()
        try:
            pubsub = await self._subscribe()
            message = await pubsub.get_message(timeout=LISTEN)
            silence = time.monotonic() - self._heard_at
            if message is None and silence > SILENCE * 2:
                raise TimeoutError
            if message is None and silence > SILENCE:
                await pubsub.ping()
        except BaseException:
            await self._drop_subscription()
            raise
        if message is None:
            return
        self._heard_at = time.monotonic()
        data = message["data"]
        if message["type"] == "message" and not data.startswith(self._id):
            self._tell(_topic(message["channel"]), data[len(self._id) :])

    async def _subscribe(self) -> "PubSub":
        """The subscription, of all that is listened to here."""
        if self._pubsub is None:
            self._pubsub = self._following.pubsub()
            self._followed = set()
            self._heard_at = time.monotonic()
        if new := {topic for topic in LIVES if self._listeners.get(topic)} - self._followed:
            await self._pubsub.subscribe(*map(self._channel, new))
            self._followed |= new
            if "change" in new:
                self._tell("change", b"")  # whatever was missed until now
        return self._pubsub

    def _channel(self, topic: Topic) -> str:
        return f"{PREFIX}:{self._number}:live:{topic}"

    async def _drop_subscription(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            with contextlib.suppress(Exception):  # it is of no more use, however that ends
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis leaves it open


def _stream(topic: Topic) -> str:
    return f"{PREFIX}:wake:{topic}"


def _topic(name: bytes) -> Any:
    """The topic of a stream or a channel."""
    return name.decode().rpartition(":")[2]
