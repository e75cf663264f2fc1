"""opentelemetry-exporter-richconsole: the tree that it prints."""

import contextlib
import io

from opentelemetry.exporter.richconsole import RichConsoleSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from played import make_of, play, provider, tell

printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    made = provider()
    made.add_span_processor(BatchSpanProcessor(RichConsoleSpanExporter()))
    play(made)
    assert made.force_flush()
    made.shutdown()
tell(make=make_of(provider()), arrived=printed.getvalue().splitlines())
