"""Dropping: spans that a rule holds for reach no exporter and are counted; ASGI's messages among them."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.trace import SpanKind, StatusCode

from tracecore import TracerProvider
from tracecore.errors import ConfigurationError
from tracecore.exporters.memory import InMemorySpanExporter
from tracecore.processors.dropping import Dropping, DropRule, asgi_send_receive, dropped


def provider_with(*rules: DropRule) -> tuple[TracerProvider, InMemorySpanExporter]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_exporter(exporter := InMemorySpanExporter())
    provider.add_span_processor(Dropping(rules))
    return provider, exporter


def names_left(*rules: DropRule) -> str:
    provider, exporter = provider_with(*rules)
    one, two = provider.get_tracer("scope.one"), provider.get_tracer("scope.two")
    for tracer, name, kind, status, ns, attributes in (
        (one, "a", SpanKind.INTERNAL, StatusCode.UNSET, 10, {"n": 1, "yes": True}),
        (one, "b", SpanKind.SERVER, StatusCode.OK, 10, {"n": 2, "url": "/internal/x"}),
        (two, "c", SpanKind.SERVER, StatusCode.ERROR, 2_000_000, {"n": 12}),
        (two, "d" * 300, SpanKind.CLIENT, StatusCode.UNSET, 2_000_000, {}),
    ):
        span = tracer.start_span(name, kind=kind, attributes=attributes, start_time=1000)
        span.set_status(status)
        span.end(1000 + ns)
    assert provider.force_flush()
    left = "".join(span.name[0] for span in exporter.get_finished_spans())
    (counts,) = provider.stats()["exporters"]
    assert counts["exported"] == len(left) and counts["written"] == 4
    assert counts["removed"] == ({} if len(left) == 4 else {"dropped_by_rule": 4 - len(left)})
    provider.shutdown(1000)
    return left


def test_a_rule_holds_when_everything_in_it_does() -> None:
    assert names_left(dropped(names="a")) == "bcd"
    assert names_left(dropped(names=["a", "dd*"])) == "bc"
    assert names_left(dropped(names=re.compile("^[bc]$"))) == "ad"
    assert names_left(dropped(kinds=SpanKind.SERVER)) == "ad"
    assert names_left(dropped(kinds=[SpanKind.SERVER, SpanKind.CLIENT])) == "a"
    assert names_left(dropped(kinds=SpanKind.SERVER, errors=False)) == "acd"
    assert names_left(dropped(scopes="scope.t*")) == "ab"
    assert names_left(dropped(scopes="scope.t*", kinds=SpanKind.SERVER)) == "abd"
    assert names_left(dropped(under=0.001)) == "cd"
    assert names_left(dropped(attributes={"n": 1})) == "bcd"
    assert names_left(dropped(attributes={"n": "1*"})) == "bd"
    assert names_left(dropped(attributes={"n": None})) == "d"
    assert names_left(dropped(attributes={"yes": True})) == "bcd"
    assert names_left(dropped(attributes={"n": 2, "url": re.compile("^/internal/")})) == "acd"
    assert names_left(dropped(attributes={"n": 1, "url": None})) == "abcd"
    assert names_left(dropped(names="a"), dropped(names="b")) == "cd"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["*", "a*", "b", "?b"]), st.sampled_from([None, *SpanKind]), st.sampled_from(["*", "x", "y*"])), min_size=1, max_size=3),
    st.lists(st.tuples(st.sampled_from(["a", "ab", "b", "bb", "c"]), st.sampled_from(list(SpanKind)), st.sampled_from(["x", "y", "yy"])), max_size=12),
)  # fmt: skip
def test_rules_do_what_the_model_does(rules: list[Any], spans: list[Any]) -> None:
    provider, exporter = provider_with(*(dropped(names=n, kinds=k or (), scopes=s) for n, k, s in rules))
    for name, kind, scope in spans:
        provider.get_tracer(scope).start_span(name, kind=kind).end()
    provider.force_flush()
    expected = [
        (name, kind, scope)
        for name, kind, scope in spans
        if not any(
            fnmatch.fnmatchcase(name, n) and k in (None, kind) and fnmatch.fnmatchcase(scope, s) for n, k, s in rules
        )
    ]
    found = [(span.name, span.kind, span.instrumentation_scope.name) for span in exporter.get_finished_spans()]
    assert found == expected
    provider.shutdown(1000)


def test_fastapi_sends_no_spans_of_its_messages() -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("opentelemetry.instrumentation.fastapi")
    from fastapi import FastAPI, WebSocket
    from fastapi.testclient import TestClient
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    def names(*rules: DropRule) -> list[str]:
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_exporter(exporter := InMemorySpanExporter())
        if rules:
            provider.add_span_processor(Dropping(rules))
        app = FastAPI()

        @app.get("/items/{number}")
        def item(number: int) -> dict[str, int]:
            with provider.get_tracer("mine").start_as_current_span("mine http send"):
                return {"number": number}

        async def talk(socket: Any) -> None:
            await socket.accept()
            await socket.send_text("hello")
            await socket.close()

        talk.__annotations__["socket"] = WebSocket  # what FastAPI goes by; the name is not this module's
        app.websocket("/talk")(talk)

        FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
        with TestClient(app) as client:
            assert client.get("/items/3").json() == {"number": 3}
            with client.websocket_connect("/talk") as socket:
                assert socket.receive_text() == "hello"
        provider.force_flush()
        (counts,) = provider.stats()["exporters"]
        spans = exporter.get_finished_spans()
        assert counts["written"] == len(spans) + counts["removed"].get("dropped_by_rule", 0)
        provider.shutdown(1000)
        return sorted(span.name for span in spans)

    without, with_rule = names(), names(asgi_send_receive())
    assert {"GET /items/{number} http send", "HTTP /talk websocket send", "HTTP /talk websocket receive"} <= set(without)
    assert with_rule == ["GET /items/{number}", "HTTP /talk", "mine http send"]
    assert [name for name in without if not re.search("^(GET|HTTP) /.* (send|receive)$", name)] == with_rule


@pytest.mark.parametrize(
    ("make", "variable"),
    [
        (lambda: dropped(), r"dropped\(\)"),
        (lambda: dropped(names=3), "names"),
        (lambda: dropped(names="a["), "names"),
        (lambda: dropped(kinds="SERVER"), "kinds"),
        (lambda: dropped(scopes=re.compile("(?=a)")), "scopes"),
        (lambda: dropped(under=0), "under"),
        (lambda: dropped(under="1"), "under"),
        (lambda: dropped(attributes=["a"]), "attributes"),
        (lambda: dropped(attributes={"a": 1.5}), r"attributes\['a'\]"),
        (lambda: Dropping([]), "rules"),
        (lambda: Dropping(["a"]), "rules"),
        (lambda: Dropping([dropped(names="a")] * 64), "rules"),
        (lambda: Dropping([dropped(attributes={str(i): None for i in range(64)})]), "attributes"),
    ],
)
def test_what_cannot_be_done_is_refused_where_it_is_written(make: Any, variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{variable}="):
        make()
