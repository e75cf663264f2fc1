"""opentelemetry-sdk's metrics and logs beside our traces: exemplars and log records carry our current span."""

from __future__ import annotations

import asyncio
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.instrumentation.logging.handler import LoggingHandler as InstrumentationHandler
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider, TraceBasedExemplarFilter
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import sampling as sdk_sampling

import tracecore
from tracecore import sampling

MAKES: dict[str, Callable[..., Any]] = {"tracecore": tracecore.TracerProvider, "opentelemetry-sdk": sdk.TracerProvider}


@pytest.fixture(params=MAKES)
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """A provider of either make: what holds for one must hold for the other."""
    made = []

    def provider(is_sampled: bool) -> Any:
        samplers: Any = sdk_sampling if request.param == "opentelemetry-sdk" else sampling
        made.append(
            MAKES[request.param](
                sampler=samplers.ALWAYS_ON if is_sampled else samplers.ALWAYS_OFF, shutdown_on_exit=False
            )
        )
        return made[-1]

    yield provider
    for each in made:
        each.shutdown()


# ---- metrics ---------------------------------------------------------------------------------------------------


def exemplars(use: Callable[[Any], None], **arguments: Any) -> list[Any]:
    """What exemplars there are after `use` got a counter, a histogram, an up-down counter and a gauge."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], **arguments)
    meter = provider.get_meter("lib")
    instruments = [meter.create_counter("c"), meter.create_histogram("h"), meter.create_up_down_counter("u")]
    use(lambda value: [i.record(value) if hasattr(i, "record") else i.add(value) for i in instruments])
    data = reader.get_metrics_data()
    found = [
        exemplar
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.data.data_points
        for exemplar in point.exemplars
    ]
    provider.shutdown()
    return found


def ids(span: Any) -> tuple[int, int]:
    context = span.get_span_context()
    return context.trace_id, context.span_id


@pytest.mark.parametrize("arguments", [{}, {"exemplar_filter": TraceBasedExemplarFilter()}], ids=["default", "trace_based"])
def test_a_measurement_in_a_sampled_span_is_its_exemplar(make: Any, arguments: dict[str, Any]) -> None:
    tracer = make(True).get_tracer("lib")
    spans = []

    def use(measure: Any) -> None:
        measure(1)
        with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner") as inner:
            measure(2)
            spans.append(inner)
        measure(3)

    found = exemplars(use, **arguments)
    assert len(found) == 3  # one an instrument: what was measured outside has no span to point at
    assert {(e.trace_id, e.span_id) for e in found} == {ids(spans[0])}
    assert {e.value for e in found} == {2}


def test_a_measurement_in_an_unsampled_span_is_no_exemplar(make: Any) -> None:
    tracer = make(False).get_tracer("lib")

    def use(measure: Any) -> None:
        with tracer.start_as_current_span("span"):
            measure(1)

    assert exemplars(use, exemplar_filter=TraceBasedExemplarFilter()) == []


def test_with_always_on_an_unsampled_span_is_pointed_at_as_the_sdks_is(make: Any) -> None:
    tracer = make(False).get_tracer("lib")
    spans = []

    def use(measure: Any) -> None:
        with tracer.start_as_current_span("span") as span:
            measure(1)
            spans.append(span)

    found = exemplars(use, exemplar_filter=AlwaysOnExemplarFilter())
    assert {(e.trace_id, e.span_id) for e in found} == {ids(spans[0])}


def test_a_context_that_is_passed_wins_over_the_current_one(make: Any) -> None:
    tracer = make(True).get_tracer("lib")
    other = tracer.start_span("other")
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    counter = provider.get_meter("lib").create_counter("c")
    with tracer.start_as_current_span("span"):
        counter.add(1, context=trace.set_span_in_context(other))
    (point,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert [(e.trace_id, e.span_id) for e in point.exemplars] == [ids(other)]
    provider.shutdown()


def test_tasks_and_threads_measure_in_their_own_span(make: Any) -> None:
    tracer = make(True).get_tracer("lib")
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    counter = provider.get_meter("lib").create_counter("c")
    expected = {}

    async def task(number: int) -> None:
        with tracer.start_as_current_span("task") as span:
            await asyncio.sleep(0)
            counter.add(number, {"n": number})
            expected[number] = ids(span)

    async def main() -> None:
        await asyncio.gather(*(task(n) for n in range(1, 6)))

    asyncio.run(main())
    thread = threading.Thread(target=lambda: asyncio.run(task(6)))
    thread.start()
    thread.join()
    points = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert {p.attributes["n"]: (p.exemplars[0].trace_id, p.exemplars[0].span_id) for p in points} == expected
    provider.shutdown()


# ---- logs ------------------------------------------------------------------------------------------------------


class Logs:
    def __init__(self) -> None:
        self.exporter = InMemoryLogRecordExporter()
        self.provider = LoggerProvider(shutdown_on_exit=False)
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self.exporter))

    def correlation(self) -> list[tuple[Any, Any, Any]]:
        return [
            (log.log_record.trace_id, log.log_record.span_id, log.log_record.trace_flags)
            for log in self.exporter.get_finished_logs()
        ]


def expected_of(span: Any) -> tuple[int, int, int]:
    return (*ids(span), span.get_span_context().trace_flags)


@pytest.fixture
def logs() -> Iterator[Logs]:
    made = Logs()
    yield made
    made.provider.shutdown()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.getLogger("tests.other_signals")
    made.setLevel(logging.INFO)
    made.propagate = False
    before = list(made.handlers)
    yield made
    made.handlers = before


@pytest.mark.parametrize("is_sampled", [True, False])
def test_the_api_s_logger_takes_the_current_span(make: Any, logs: Logs, is_sampled: bool) -> None:
    tracer = make(is_sampled).get_tracer("lib")
    emit = logs.provider.get_logger("lib").emit
    with tracer.start_as_current_span("outer") as outer:
        with tracer.start_as_current_span("inner") as inner:
            emit(LogRecord(severity_number=SeverityNumber.INFO, body="inside"))
        emit(LogRecord(body="with a context", context=trace.set_span_in_context(inner)))
        emit(LogRecord(body="outer"))
    assert logs.correlation() == [expected_of(inner), expected_of(inner), expected_of(outer)]
    assert {flags & 1 for *_, flags in logs.correlation()} == {int(is_sampled)}


@pytest.mark.parametrize("handler", [LoggingHandler, InstrumentationHandler], ids=["sdk", "instrumentation"])
@pytest.mark.parametrize("is_sampled", [True, False])
def test_a_logging_handler_takes_the_current_span(
    make: Any, logs: Logs, logger: logging.Logger, is_sampled: bool, handler: Any
) -> None:
    tracer = make(is_sampled).get_tracer("lib")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK's is deprecated
        logger.addHandler(handler(logger_provider=logs.provider))
    logger.info("outside")
    with tracer.start_as_current_span("span") as span:
        logger.info("inside")
        try:
            raise ValueError("words")
        except ValueError:
            logger.exception("caught")
    outside, inside, caught = logs.correlation()
    assert not outside[0] and not outside[1]
    assert inside == caught == expected_of(span)
    assert logs.exporter.get_finished_logs()[2].log_record.attributes["exception.type"] == "ValueError"


def test_a_batch_of_logs_keeps_the_span_each_was_written_in(make: Any) -> None:
    tracer = make(True).get_tracer("lib")
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    expected = []
    for _ in range(100):
        with tracer.start_as_current_span("span") as span:
            provider.get_logger("lib").emit(LogRecord(body="x"))
            expected.append(expected_of(span))
    provider.force_flush()
    assert [(r.log_record.trace_id, r.log_record.span_id, r.log_record.trace_flags)
            for r in exporter.get_finished_logs()] == expected
    provider.shutdown()


# ---- opentelemetry-instrumentation-logging -----------------------------------------------------------------------


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def instrumented(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    monkeypatch.delenv("OTEL_PYTHON_LOG_CORRELATION", raising=False)

    def instrument(provider: Any, **options: Any) -> None:
        LoggingInstrumentor().instrument(tracer_provider=provider, enable_log_auto_instrumentation=False, **options)

    yield instrument
    LoggingInstrumentor().uninstrument()


@pytest.mark.parametrize("is_sampled", [True, False])
def test_the_logging_instrumentation_injects_ids_and_the_service(
    make: Any, logger: logging.Logger, instrumented: Any, is_sampled: bool
) -> None:
    provider = make(is_sampled)
    hooked: list[Any] = []
    handler = Records()
    logger.addHandler(handler)
    instrumented(provider, inject_trace_context=True,
                 log_hook=lambda span, record: hooked.append((span, span.is_recording())))
    tracer = provider.get_tracer("lib")
    logger.info("outside")
    with tracer.start_as_current_span("span") as span:
        logger.info("inside")
    outside, inside = handler.records
    assert (outside.otelTraceID, outside.otelSpanID, outside.otelTraceSampled) == ("0", "0", False)
    context = span.get_span_context()
    assert inside.otelTraceID == trace.format_trace_id(context.trace_id)
    assert inside.otelSpanID == trace.format_span_id(context.span_id)
    assert inside.otelTraceSampled is is_sampled
    assert inside.otelServiceName == provider.resource.attributes["service.name"]
    assert hooked == [(span, is_sampled)]


def test_what_a_hook_reads_of_a_live_span_is_what_the_sdks_has(logger: logging.Logger, instrumented: Any) -> None:
    seen = []
    for name, make in MAKES.items():
        provider = make(shutdown_on_exit=False)

        def hook(span: Any, record: logging.LogRecord) -> None:
            assert isinstance(span, sdk.ReadableSpan)
            seen.append((span.name, dict(span.attributes), span.kind, span.parent, span.is_recording()))

        handler = Records()
        logger.addHandler(handler)
        instrumented(provider, inject_trace_context=True, log_hook=hook)
        with provider.get_tracer("lib").start_as_current_span("span", attributes={"user": "ada"}):
            logger.info("inside")
        LoggingInstrumentor().uninstrument()
        provider.shutdown()
        assert len(seen) == list(MAKES).index(name) + 1
    assert seen[0] == seen[1]


def test_a_span_of_ours_set_by_hand_is_the_current_one_for_all_signals(logs: Logs) -> None:
    provider = tracecore.TracerProvider(shutdown_on_exit=False)
    span = provider.get_tracer("lib").start_span("span")
    token = context_api.attach(trace.set_span_in_context(span))
    logs.provider.get_logger("lib").emit(LogRecord(body="x"))
    context_api.detach(token)
    with trace.use_span(span):
        logs.provider.get_logger("lib").emit(LogRecord(body="x"))
    assert logs.correlation() == [expected_of(span)] * 2
    provider.shutdown()
