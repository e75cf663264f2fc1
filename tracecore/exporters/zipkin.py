"""ZipkinExporter: Zipkin's JSON v2 over HTTP, a list of spans in one POST a batch.

Delivery is http_exporter.py's; a batch that the receiver finds too large goes out in parts.  Here is the mapping:

    OpenTelemetry                        Zipkin
    trace, span, parent id               traceId, id, parentId: lower hexadecimal digits
    kind                                 kind; absent for INTERNAL
    start, end                           timestamp, duration: whole microseconds, a duration at least 1
    service.name of the resource         localEndpoint.serviceName
    peer.service, server.address, ...    remoteEndpoint of CLIENT and PRODUCER spans, by the specification's ranking
    attributes, resource, scope          tags, all of them text
    status                               otel.status_code; error with the description, "" without one
    events                               annotations: "name": {"key": value}, the name alone without attributes
    dropped counts                       otel.dropped_attributes_count, _events_count, _links_count
    links, tracestate                    none: Zipkin has no place for them, and the specification names none

What is absent is left out.  Two differences to opentelemetry-exporter-zipkin-json are meant: `debug` is not set (it
would switch off Zipkin's own sampling for every span), and no tag is null (Zipkin refuses the whole request).

Source: specification, trace/sdk_exporters/zipkin.md; openzipkin/zipkin-api, zipkin2-api.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import msgspec
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from opentelemetry.util.types import AnyValue

from tracecore.errors import ConfigurationError
from tracecore.exporters import SpanBatch
from tracecore.exporters.http_exporter import RETRY_PAUSE_S, HTTPExporter
from tracecore.exporters.non_otlp import dropped_tags, json_text, microseconds, scope_tags, sound, text_of
from tracecore.exporters.variables import Variables, read_endpoint
from tracecore.readable_span import Event, ReadableSpan

__all__ = ["ZipkinExporter", "from_environment", "settings", "zipkin_span"]

DEFAULT_ENDPOINT = "http://localhost:9411/api/v2/spans"
DEFAULT_TIMEOUT_S = 10.0

_REMOTE = (
    ("peer.service", None),
    ("server.address", None),
    ("net.peer.name", None),
    ("network.peer.address", "network.peer.port"),
    ("server.socket.domain", None),
    ("server.socket.address", "server.socket.port"),
    ("net.sock.peer.name", None),
    ("net.sock.peer.addr", "net.sock.peer.port"),
    ("peer.hostname", None),
    ("peer.address", None),
    ("db.name", None),
)
"""Attributes that name the other side, best first, and the port that belongs to an address."""

_MAX_PORT = 65535


class ZipkinExporter(HTTPExporter):
    """Send batches to one Zipkin, or whatever takes its JSON v2.

    endpoint: full URL.
    local_node_ipv4, local_node_ipv6, local_node_port: where this service is reached, for localEndpoint.
    The other arguments, faults and threads: as HTTPExporter.
    """

    component_type = "zipkin_http_span_exporter"
    """Its otel.component.type in tracecore.self_metrics."""

    _format = "Zipkin"
    _content_type = "application/json"

    def __init__(
        self,
        endpoint: str = DEFAULT_ENDPOINT,
        headers: Mapping[str, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
        compression: str = "none",
        certificate_file: str | None = None,
        client_certificate_file: str | None = None,
        client_key_file: str | None = None,
        *,
        local_node_ipv4: str | int | None = None,
        local_node_ipv6: str | int | None = None,
        local_node_port: int | None = None,
        retry_pause: float = RETRY_PAUSE_S,
        max_request_bytes: int = 0,
        version: str | None = None,
    ) -> None:
        self._local: dict[str, Any] = {}
        for field, address in (("ipv4", local_node_ipv4), ("ipv6", local_node_ipv6)):
            if address is not None:
                self._local[field] = _address_of(field, f"local_node_{field}", address)
        if local_node_port is not None:
            is_number = isinstance(local_node_port, int) and not isinstance(local_node_port, bool)
            if not is_number or not 0 < local_node_port <= _MAX_PORT:
                raise ConfigurationError("local_node_port", local_node_port, "a port from 1 to 65535")
            self._local["port"] = local_node_port
        super().__init__(
            endpoint,
            headers,
            timeout,
            compression,
            certificate_file,
            client_certificate_file,
            client_key_file,
            retry_pause=retry_pause,
            max_request_bytes=max_request_bytes,
            version=version,
        )

    def _encode(self, batch: SpanBatch) -> bytes:
        spans = [zipkin_span(span, self._local) for span in batch.spans()]
        try:
            return msgspec.json.encode(spans)
        except UnicodeEncodeError:  # a lone surrogate, somewhere
            return msgspec.json.encode(_sound(spans))


def zipkin_span(span: ReadableSpan, local: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a finished span as Zipkin's v2 has it; `local` holds more fields of localEndpoint."""
    context = span.get_span_context()
    assert context is not None
    start_ns, end_ns = span.start_time or 0, span.end_time or 0
    resource = span.resource.attributes or {}
    zipkin: dict[str, Any] = {"traceId": format_trace_id(context.trace_id), "id": format_span_id(context.span_id)}
    if span.parent is not None:
        zipkin["parentId"] = format_span_id(span.parent.span_id)
    zipkin["name"] = span.name
    if span.kind is not SpanKind.INTERNAL:
        zipkin["kind"] = span.kind.name
    if timestamp := microseconds(start_ns):
        zipkin["timestamp"] = timestamp
    zipkin["duration"] = max(microseconds(end_ns - start_ns), 1)
    zipkin["localEndpoint"] = {"serviceName": text_of(resource.get("service.name")) or "unknown_service", **(local or {})}
    if span.kind in (SpanKind.CLIENT, SpanKind.PRODUCER) and (remote := _remote_endpoint(span.attributes)):
        zipkin["remoteEndpoint"] = remote
    if tags := _tags(span, resource):
        zipkin["tags"] = tags
    if events := span.events:
        zipkin["annotations"] = [_annotation(event) for event in events]
    return zipkin


def _tags(span: ReadableSpan, resource: Mapping[str, AnyValue]) -> dict[str, str]:
    tags = {key: text_of(value) for key, value in span.attributes.items()}
    if tags.get("error") == "false":
        del tags["error"]  # its mere presence means failure to Zipkin
    tags.update((key, text_of(value)) for key, value in resource.items())
    tags.update((key, text_of(value)) for key, value in scope_tags(span))
    status = span.status
    if status.status_code is not StatusCode.UNSET:
        tags["otel.status_code"] = status.status_code.name
    if status.status_code is StatusCode.ERROR:
        tags["error"] = status.description or ""
    tags.update((key, str(count)) for key, count in dropped_tags(span))
    return tags


def _annotation(event: Event) -> dict[str, Any]:
    attributes = dict(event.attributes or {})
    if event.dropped_attributes:
        attributes["otel.dropped_attributes_count"] = event.dropped_attributes
    value = f"{json_text(event.name)}: {json_text(attributes)}" if attributes else event.name
    return {"timestamp": microseconds(event.timestamp), "value": value}


def _remote_endpoint(attributes: Mapping[str, AnyValue]) -> dict[str, Any] | None:
    for key, port_key in _REMOTE:
        if not (name := text_of(attributes.get(key))):
            continue
        if port_key is None:
            return {"serviceName": name}
        try:
            address = ip_address(name)
        except ValueError:  # a socket's path, or a name after all
            endpoint: dict[str, Any] = {"serviceName": name}
        else:
            endpoint = {f"ipv{address.version}": str(address)}
        port = text_of(attributes.get(port_key))
        if port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _MAX_PORT:
            endpoint["port"] = int(port)
        return endpoint
    return None


def _address_of(field: str, argument: str, value: str | int) -> str:
    try:
        address = ip_address(value)
    except ValueError:
        address = None
    if address is None or field != f"ipv{address.version}":
        raise ConfigurationError(argument, value, f"an IP{field[2:]} address")
    return str(address)


def _sound(value: Any) -> Any:
    if isinstance(value, str):
        return sound(value)
    if isinstance(value, dict):
        return {sound(key): _sound(inner) for key, inner in value.items()}
    return [_sound(inner) for inner in value] if isinstance(value, list) else value


def from_environment(environment: Mapping[str, str]) -> ZipkinExporter:
    """Return the exporter that `settings` describe."""
    endpoint, timeout = settings(environment)
    return ZipkinExporter(endpoint, timeout=timeout)


def settings(environment: Mapping[str, str]) -> tuple[str, float]:
    """Return OTEL_EXPORTER_ZIPKIN_ENDPOINT and _TIMEOUT (seconds), or the defaults; wrong values are reported."""
    variables = Variables(environment, "zipkin_settings")
    endpoint = variables.get("OTEL_EXPORTER_ZIPKIN_ENDPOINT", read_endpoint, DEFAULT_ENDPOINT)
    timeout = variables.timeout("OTEL_EXPORTER_ZIPKIN_TIMEOUT", DEFAULT_TIMEOUT_S)
    variables.tell()
    return endpoint, timeout
