"""A sampler of the user's own: it answers, answers with attributes and tracestate, answers nonsense, raises."""

from measure import Value, measure, provider_with
from opentelemetry.trace import TraceState

from tracecore.sampling import Decision, SamplingResult


class Sampler:
    n = 0

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None):
        self.n += 1
        if self.n % 4 == 0:
            raise RuntimeError("on purpose")
        if self.n % 4 == 1:
            return None
        if self.n % 4 == 2:
            return SamplingResult(Decision.RECORD_ONLY, {"v": Value()}, TraceState([("a", str(self.n))]))
        return SamplingResult(Decision.RECORD_AND_SAMPLE, {"k": "v"}, TraceState([("a", str(self.n))]))

    def get_description(self) -> str:
        return "a sampler"


provider = provider_with(sampler=Sampler())
tracer = provider.get_tracer("a")


def once() -> None:
    with tracer.start_as_current_span("a", attributes={"v": Value()}):
        tracer.start_span("b").end()


measure(once, provider)
