"""tracecore: the tracing core that a Python service can leave switched on for every request.

    import tracecore

    tracecore.init(service="checkout")

    with tracecore.span("charge card", amount=99.9):
        ...

    @tracecore.traced
    def validate(cart): ...

`init` sets an OpenTelemetry TracerProvider, so everything that speaks the OpenTelemetry API, every
opentelemetry-instrumentation package included, is traced by the core.
"""

from tracecore.bootstrap import init
from tracecore.errors import ConfigurationError
from tracecore.provider import TracerProvider
from tracecore.shortcuts import span, traced
from tracecore.statistics import stats

__version__ = "0.1.0"

__all__ = ["ConfigurationError", "TracerProvider", "init", "span", "stats", "traced"]
