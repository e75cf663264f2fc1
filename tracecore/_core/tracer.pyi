from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind
from opentelemetry.util.types import Attributes

from tracecore._core.recorder import Recorder
from tracecore._core.span import SpanBase, SpanSource

F = TypeVar("F", bound=Callable[..., Any])

class SpanScope(AbstractContextManager[SpanBase, None]):
    @property
    def args(self) -> tuple[Any, ...]: ...
    def again(self) -> SpanScope: ...
    def start(self) -> tuple[SpanBase, bool, bool]: ...
    def __enter__(self) -> SpanBase: ...
    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None: ...
    def __call__(self, function: F, /) -> F: ...

class Tracer(SpanSource):
    def __init__(self, recorder: Recorder, scope_id: int, scope: Any) -> None: ...
    @property
    def instrumentation_scope(self) -> Any: ...
    @property
    def resource(self) -> Any: ...
    @property
    def sampler(self) -> Any: ...
    @property
    def span_processor(self) -> Any: ...
    @property
    def instrumentation_info(self) -> Any: ...
    @property
    def id_generator(self) -> Any: ...
    @property
    def _instrumentation_scope(self) -> Any: ...
    @property
    def _span_limits(self) -> Any: ...
    @property
    def _tracer_config(self) -> Any: ...
    def _set_tracer_config(self, tracer_config: Any) -> None: ...
    def _is_enabled(self) -> bool: ...
    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = ...,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> SpanBase: ...
    def start_as_current_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = ...,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> SpanScope: ...
