"""Spans as OpenTelemetry takes them. The one module that imports it, and only when it is wanted."""

import logging
import secrets
import time
from collections.abc import Mapping, Sequence

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from hub import __version__
from hub.clock import Micros

log = structlog.get_logger(__name__)

PATH = "/v1/traces"
EXPORT_SECONDS = 5.0
KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class Spans:
    """Makes spans with ids that are known beforehand, and exports them from a thread of its own.
    What the collector does not take in time is dropped."""

    def __init__(self, url: str) -> None:
        # The exporter's own words would come for each batch, and may quote what was answered.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        self._ids = _Ids()
        given = {SERVICE_NAME: "onethread", SERVICE_VERSION: __version__}
        resource = Resource(given).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,
            resource=resource,
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        endpoint = url.rstrip("/").removesuffix(PATH) + PATH
        self._exporter = _Exporter(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_SECONDS))
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("onethread", __version__)

    def add(
        self,
        name: str,
        kind: str,
        trace: int,
        span: int,
        parent: int,
        begun: Micros,
        ended: Micros,
        attributes: Mapping[str, str | int | bool],
        *,
        links: Sequence[tuple[int, int]] = (),
        error: str = "",
    ) -> int:
        """One span that is over; returns its id. 0 for an id: a new one, for a parent: none."""
        self._ids.trace, self._ids.span = trace, span
        context = Context()
        if parent:
            context = set_span_in_context(NonRecordingSpan(_remote(trace, parent)), context)
        made = self._tracer.start_span(
            name,
            context,
            KINDS[kind],
            attributes,
            [Link(_remote(*one)) for one in links],
            start_time=begun * 1000,
        )
        if error:
            made.set_status(Status(StatusCode.ERROR, error))
        made.end(max(begun, ended) * 1000)
        return made.get_span_context().span_id

    def close(self, seconds: float) -> None:
        """Export what waits, for about `seconds` at most."""
        self._exporter.until = time.monotonic() + seconds
        self._provider.shutdown()


def _remote(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=True, trace_flags=SAMPLED)


class _Ids(IdGenerator):
    """The ids of the next span; 0 for a random one."""

    def __init__(self) -> None:
        self.trace = 0
        self.span = 0

    def generate_trace_id(self) -> int:
        return self.trace or secrets.randbits(128) or 1

    def generate_span_id(self) -> int:
        return self.span or secrets.randbits(64) or 1


class _Exporter(SpanExporter):
    """Says once that spans are lost, and once that they are taken again."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        self._is_away = False
        self.until: float | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.until is not None and time.monotonic() > self.until:
            return SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        except Exception:
            result = SpanExportResult.FAILURE
        is_away = result is not SpanExportResult.SUCCESS
        if is_away and not self._is_away:
            log.warning("traces are not taken by the collector and are dropped")
        elif self._is_away and not is_away:
            log.info("traces are taken by the collector again")
        self._is_away = is_away
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the SDK's, without types

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True
