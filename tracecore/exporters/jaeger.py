"""The Jaeger exporter that OTEL_EXPORTER_JAEGER_* describe: to an agent over UDP, or to a collector over HTTP.

    OTEL_EXPORTER_JAEGER_PROTOCOL     udp/thrift.compact, udp/thrift.binary, http/thrift.binary; unset: over HTTP if
                                      there is an ENDPOINT, else compact over UDP
    OTEL_EXPORTER_JAEGER_AGENT_HOST   localhost
    OTEL_EXPORTER_JAEGER_AGENT_PORT   6831 for compact, 6832 for binary
    OTEL_EXPORTER_JAEGER_ENDPOINT     http://localhost:14268/api/traces?format=jaeger.thrift
    OTEL_EXPORTER_JAEGER_USER, OTEL_EXPORTER_JAEGER_PASSWORD     HTTP Basic authentication
    OTEL_EXPORTER_JAEGER_TIMEOUT      10, seconds

Jaeger's gRPC protocol is not served.  OTEL_EXPORTER_JAEGER_AGENT_SPLIT_OVERSIZED_BATCHES has no meaning here: batches
are always split.

Source: specification, "Jaeger Exporter" of the environment variables (up to 1.48; Jaeger takes OTLP since 1.35).
"""

from __future__ import annotations

from collections.abc import Mapping

from tracecore.errors import ConfigurationError
from tracecore.exporters.jaeger_agent import DEFAULT_TIMEOUT_S, JaegerAgentExporter
from tracecore.exporters.jaeger_collector import DEFAULT_ENDPOINT, JaegerCollectorExporter
from tracecore.exporters.variables import Variables, read_endpoint, read_port

__all__ = ["JaegerAgentExporter", "JaegerCollectorExporter", "from_environment"]

_PREFIX = "OTEL_EXPORTER_JAEGER_"
_HTTP = "http/thrift.binary"
_UDP = {"udp/thrift.compact": "compact", "udp/thrift.binary": "binary"}


def from_environment(environment: Mapping[str, str]) -> JaegerAgentExporter | JaegerCollectorExporter:
    """Return the exporter that the variables describe; wrong values are reported, and their defaults used."""
    variables = Variables(environment, "jaeger_settings")
    timeout = variables.timeout(_PREFIX + "TIMEOUT", DEFAULT_TIMEOUT_S)
    unset = _HTTP if variables.text(_PREFIX + "ENDPOINT") else "udp/thrift.compact"
    protocol = variables.get(_PREFIX + "PROTOCOL", _read_protocol, unset)
    exporter: JaegerAgentExporter | JaegerCollectorExporter
    if protocol == _HTTP:
        endpoint = variables.get(_PREFIX + "ENDPOINT", read_endpoint, DEFAULT_ENDPOINT)
        user, password = variables.text(_PREFIX + "USER") or None, variables.text(_PREFIX + "PASSWORD") or None
        if (user is None) != (password is None):
            variables.remark(f"{_PREFIX}USER and {_PREFIX}PASSWORD go together; requests are sent without")
            user = password = None
        elif user is not None and ":" in user:
            variables.remark(f"{_PREFIX}USER must not contain a colon; requests are sent without")
            user = password = None
        exporter = JaegerCollectorExporter(endpoint, timeout=timeout, username=user, password=password)
    else:
        host = variables.get(_PREFIX + "AGENT_HOST", _read_host, "localhost")
        port = variables.get(_PREFIX + "AGENT_PORT", read_port, None)
        exporter = JaegerAgentExporter(host, port, protocol=_UDP[protocol], timeout=timeout)
    variables.tell()
    return exporter


def _read_protocol(name: str, text: str) -> str:
    if text.lower() not in (_HTTP, *_UDP):
        raise ConfigurationError(name, text, "one of " + ", ".join((*_UDP, _HTTP)))
    return text.lower()


def _read_host(name: str, text: str) -> str:
    if not text.isprintable() or " " in text or "/" in text:
        raise ConfigurationError(name, text, "a host's name or address")
    return text
