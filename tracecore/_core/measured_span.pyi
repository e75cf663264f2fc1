from tracecore._core.span import SpanBase

class MeasuredSpan(SpanBase):
    name: str
