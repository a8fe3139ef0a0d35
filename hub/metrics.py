"""What one process of a hub counts, in Prometheus' terms.

Callers count; `web/metrics.py` reads. Labels take few values, all known from the settings and
the code: never an id or a text of a customer. A child is looked up in 0.1 µs and counted in
0.3 µs. Each hub has a registry of its own, so that one process can run several.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import get_args

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from hub import __version__
from hub.errors import ErrorClass
from hub.message import ReceiptStatus

# When a counter was made is of use to no one here, and would double the page.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types

ANSWERS = ("accepted", "spooled", "refused", "too_large", "unavailable")
"""What a webhook was answered: 200 after commit, 200 after the spool, 403, 413, 503."""

QUEUES = ("unhandled", "timers", "queued", "held", "sending", "unknown", "media")
"""What waits in the database: events, due timers, the outbox by state, attachments."""

DEAD = ("hook", "send", "media", "signal")
"""The kinds of dead letters."""

RETRIED, UNKNOWN = ("unreachable", "busy", "misconfigured"), ("outcome_unknown",)
OUTCOMES = {
    "sent": ("",),
    "queued": RETRIED,
    "unknown": UNKNOWN,
    "cancelled": ("", "earlier_part_failed"),
    "failed": get_args(ErrorClass),
}
TURN_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SEND_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The numbers of one hub in one process. `channels` are the names of its settings."""

    def __init__(self, channels: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("onethread_build", "The release that runs.", registry=self.registry).info(
            {"version": __version__}
        )
        self._make_inbound()
        self._make_work()
        self._make_outbound()
        self._make_gauges()
        for name in channels:
            self._begin(name)
        for queue in QUEUES:
            self.queue_items(queue)
            self.queue_age(queue)
        for what in ("turn", "send"):
            self.leases_lost(what)
        for who in ("agent", "visitor"):
            self.sockets(who)

    def _make_inbound(self) -> None:
        self.hooks = self._counter(
            "onethread_hooks", "Webhooks by what was answered.", "channel", "answer"
        )
        self.accepted = self._counter(
            "onethread_messages_accepted", "Customers' messages stored.", "channel"
        )
        self.duplicates = self._counter(
            "onethread_messages_duplicate",
            "Messages delivered again that were stored already.",
            "channel",
        )
        self.caught_up = self._counter(
            "onethread_messages_caught_up",
            "Customers' messages whose webhook was lost, found in the provider's list.",
            "channel",
        )
        self.poll_failures = self._counter(
            "onethread_poll_failures", "Failed tries to ask a provider for messages.", "channel"
        )
        self.polling = self._gauge(
            "onethread_polling", "1 while this process asks the channel for messages.", "channel"
        )
        self.receipts = self._counter(
            "onethread_receipts", "What providers said of our messages.", "channel", "status"
        )
        self.dead = self._counter(
            "onethread_hook_items_dead", "Items of webhooks that became dead letters.", "channel"
        )
        self.last_inbound = self._gauge(
            "onethread_last_inbound_timestamp_seconds",
            "When this process last accepted anything; at first, when it started.",
            "channel",
        )
        self.media = self._counter(
            "onethread_media", "Fetches of attachments by what came of them.", "channel", "state"
        )

    def _make_work(self) -> None:
        self.turns = Counter("onethread_turns", "Turns committed.", registry=self.registry)
        self.turn_failures = Counter(
            "onethread_turn_failures", "Turns that ended in an error.", registry=self.registry
        )
        self.turn_retries = Counter(
            "onethread_turn_retries",
            "Claims of an event that was claimed before and not committed.",
            registry=self.registry,
        )
        self.turn_seconds = Histogram(
            "onethread_turn_seconds",
            "From the claim of an event to its commit.",
            buckets=TURN_SECONDS,
            registry=self.registry,
        )
        self.leases_lost = self._counter(
            "onethread_leases_lost", "Work given up because another took it over.", "of"
        )

    def _make_outbound(self) -> None:
        self.sends = self._counter(
            "onethread_sends",
            "Attempts to send by the state they led to; queued is to be tried again.",
            "channel",
            "state",
            "reason",
        )
        self.send_retries = self._counter(
            "onethread_send_retries", "Provider calls that were not the first.", "channel"
        )
        self.repeated = self._counter(
            "onethread_sends_repeated",
            "Provider calls whose earlier try may have arrived.",
            "channel",
        )
        self.reconciled = self._counter(
            "onethread_sends_reconciled",
            "Unknown outcomes settled without sending again.",
            "channel",
            "by",
        )
        self.pauses = self._counter(
            "onethread_channel_pauses",
            "A channel was paused, tried again, or resumed by this process.",
            "channel",
            "what",
        )
        self.courtesies = self._counter(
            "onethread_courtesies",
            "Typing, read marks and the like by what came of them; dropped ones were too many.",
            "channel",
            "what",
            "outcome",
        )
        send_seconds = Histogram(
            "onethread_send_seconds",
            "Provider calls, whatever came of them.",
            ["channel"],
            buckets=SEND_SECONDS,
            registry=self.registry,
        )
        self.send_seconds: Callable[[str], Histogram] = cache(send_seconds.labels)

    def _make_gauges(self) -> None:
        """What is only known by looking, when the page is asked for."""
        gauge = self._gauge
        self.queue_items = gauge(
            "onethread_queue_items", "What waits in the database, at most 10000.", "queue"
        )
        self.queue_age = gauge(
            "onethread_queue_oldest_seconds", "Age of the oldest that waits.", "queue"
        )
        self.dead_letters = gauge(
            "onethread_dead_letters", "Dead letters that nobody has resolved.", "kind"
        )
        self.channel_paused = gauge(
            "onethread_channel_paused", "1 while the channel's sends wait to be mended.", "channel"
        )
        self.channel_waiting = gauge(
            "onethread_channel_waiting", "Messages that wait to be sent, at most 10000.", "channel"
        )
        self.channel_errors = gauge(
            "onethread_channel_error_ratio",
            "Of the last hour's messages that were tried, the share not accepted.",
            "channel",
        )
        self.credentials_end = gauge(
            "onethread_credentials_expire_timestamp_seconds",
            "When the channel's credentials end; not a number where nobody knows.",
            "channel",
        )
        self.sockets = gauge("onethread_sockets", "Live connections to this process.", "of")
        self.spool_hooks = self._plain_gauge(
            "onethread_spool_hooks", "Webhooks that wait in the spool of this process."
        )
        self.spool_bytes = self._plain_gauge(
            "onethread_spool_bytes", "What the spool of this process takes on its disk."
        )
        self.redis_up = self._plain_gauge("onethread_redis_up", "0 while Redis is set and away.")
        self.worker_beat = self._plain_gauge(
            "onethread_worker_beat_seconds",
            "Since this process last looked for work; 0 in one without a worker.",
        )
        self.database_up = self._plain_gauge(
            "onethread_database_up", "1 if the database took a write just now."
        )
        self.database_seconds = self._plain_gauge(
            "onethread_database_write_seconds", "How long the last trial write took."
        )

    def show(
        self, name: str, text: str, label: str, values: Callable[[], Mapping[str, float]]
    ) -> None:
        """Show what something else counts, by the values of `label`. `values` is called for each
        page and must not raise."""
        self.registry.register(_Shown(name, text, label, values))

    def settled(self, channel: str, state: str, reason: str) -> None:
        """Count what an attempt, or a row without one, has come to. `reason` is an error class."""
        if state in ("sent", "delivered", "read"):  # a receipt may come before the call's answer
            state, reason = "sent", ""
        self.sends(channel, state, reason).inc()

    def begin_hooks(self, name: str) -> None:
        """Let the series of a hook URL start at 0: that of a channel, or of an app."""
        for answer in ANSWERS:
            self.hooks(name, answer)

    def _begin(self, channel: str) -> None:
        """Let every series of a channel start at 0: a rate does not see what starts at 1."""
        self.begin_hooks(channel)
        for family in (
            self.accepted,
            self.duplicates,
            self.caught_up,
            self.dead,
            self.send_retries,
            self.repeated,
            self.send_seconds,
            self.channel_paused,
        ):
            family(channel)
        for state, reasons in OUTCOMES.items():
            for reason in reasons:
                self.sends(channel, state, reason)
        for status in get_args(ReceiptStatus):
            self.receipts(channel, status)
        for what in ("paused", "tried", "resumed"):
            self.pauses(channel, what)
        for what in ("acknowledge", "read", "typing"):
            for outcome in ("done", "failed", "dropped"):
                self.courtesies(channel, what, outcome)
        for by in ("receipt", "look_up"):
            self.reconciled(channel, by)
        for state in ("stored", "failed", "refused", "retried"):
            self.media(channel, state)
        self.last_inbound(channel).set_to_current_time()

    def _counter(self, name: str, text: str, *labels: str) -> Callable[..., Counter]:
        return cache(Counter(name, text, labels, registry=self.registry).labels)

    def _gauge(self, name: str, text: str, *labels: str) -> Callable[..., Gauge]:
        return cache(Gauge(name, text, labels, registry=self.registry).labels)

    def _plain_gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)


class _Shown(Collector):
    def __init__(
        self, name: str, text: str, label: str, values: Callable[[], Mapping[str, float]]
    ) -> None:
        self._name, self._text, self._label, self._values = name, text, label, values

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._text, labels=[self._label])
        for label, value in self._values().items():
            family.add_metric([label], value)
        yield family
