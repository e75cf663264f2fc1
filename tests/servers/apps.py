"""The programs that the servers serve: as somebody who never heard of tracecore would write them."""

FLASK = """

import os
from flask import Flask
from opentelemetry import trace

application = app = Flask("shop")
tracer = trace.get_tracer("shop")

@app.route("/ready")
def ready():
    return str(os.getpid())

@app.route("/work/<int:i>")
def work(i):
    with tracer.start_as_current_span("work") as span:
        span.set_attribute("request", i)
        span.set_attribute("pid", str(os.getpid()))
    return str(os.getpid())
"""

# For servers that were not started by opentelemetry-instrument: the provider comes from OTEL_PYTHON_TRACER_PROVIDER.
FLASK_BY_HAND = """
import os
os.environ.setdefault("OTEL_PYTHON_TRACER_PROVIDER", "tracecore")
""" + FLASK + """
from opentelemetry.instrumentation.flask import FlaskInstrumentor
FlaskInstrumentor().instrument_app(app)
"""

FASTAPI = """
import os
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from opentelemetry import trace

app = FastAPI()
tracer = trace.get_tracer("shop")

@app.get("/ready", response_class=PlainTextResponse)
async def ready():
    return str(os.getpid())

@app.get("/work/{i}", response_class=PlainTextResponse)
async def work(i: int):
    with tracer.start_as_current_span("work") as span:
        span.set_attribute("request", i)
        span.set_attribute("pid", str(os.getpid()))
    return str(os.getpid())
"""
