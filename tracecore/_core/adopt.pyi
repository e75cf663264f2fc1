from typing import Any

from tracecore._core.span import SpanSource

def adopt(source: SpanSource, span: Any) -> None: ...
