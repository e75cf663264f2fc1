"""Exporters of a configuration file: each its settings in, an exporter out.

Our own constructors judge what the schema cannot (URLs, certificates); the error that they raise names an argument,
which is given its place in the file by `PLACES`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from msgspec import UNSET

from tracecore.declarative import schema
from tracecore.declarative.arguments import made_of
from tracecore.entry_point import load_entry_point
from tracecore.errors import ConfigurationError

__all__ = ["OURS", "PLACES", "exporter"]

PLACES: Final = {
    "certificate_file": "tls.ca_file",
    "client_certificate_file": "tls.cert_file",
    "client_key_file": "tls.key_file",
    "max_request_bytes": "max_request_size",
    "path": "output_stream",
}
"""Keys of the file, by the arguments of our exporters that they are passed as."""

_NO_LIMIT_S: Final = 3600.0
"""What a timeout of 0, "no limit" to the schema, is to an exporter: the longest that any setting allows."""


def exporter(component: schema.Component, note: Callable[[str, str], None]) -> Any:
    """Return what `component` names.  `note` takes the path and the words of a setting that has no effect.

    Raises: ConfigurationError with an argument's name or a path below the component as its variable; LookupError for
    a name nobody has; whatever the code of an extension raises.
    """
    if (make := _OURS.get(component.name)) is not None:
        return make(component.settings, lambda key, words: note(f"{component.path}.{key}", words))
    if (ours := OURS.get(component.name)) is not None:
        return made_of(*ours, component)
    return load_entry_point("opentelemetry_traces_exporter", component.name)(**component.settings)


def _ours(module: str, name: str) -> Any:
    """Return one of our exporters' classes; its module is imported when a file names it."""
    return getattr(import_module(f"tracecore.exporters.{module}"), name)


def _console(settings: schema.Empty, note: Callable[[str, str], None]) -> Any:
    return _ours("console", "ConsoleSpanExporter")()


def _otlp_http(settings: schema.OtlpHttp, note: Callable[[str, str], None]) -> Any:
    arguments = _otlp_arguments(settings, note)
    if settings.encoding is not None:
        arguments["encoding"] = settings.encoding
    return _ours("otlp_http", "OTLPHTTPExporter")(**arguments)


def _otlp_grpc(settings: schema.OtlpGrpc, note: Callable[[str, str], None]) -> Any:
    arguments = _otlp_arguments(settings, note)
    if settings.tls is not None and settings.tls.insecure is not None:
        arguments["insecure"] = settings.tls.insecure
    return _ours("otlp_grpc", "OTLPGRPCExporter")(**arguments)


def _otlp_file(settings: schema.OtlpFile, note: Callable[[str, str], None]) -> Any:
    make, stream = _ours("otlp_file", "OTLPFileExporter"), settings.output_stream
    return make() if stream in (None, "stdout") else make(_file_of(str(stream)))


def _zipkin(settings: schema.Zipkin, note: Callable[[str, str], None]) -> Any:
    arguments: dict[str, Any] = {}
    if settings.endpoint is not None:
        arguments["endpoint"] = settings.endpoint
    if settings.timeout is not None:
        arguments["timeout"] = settings.timeout / 1000 or _NO_LIMIT_S
    return _ours("zipkin", "ZipkinExporter")(**arguments)


OURS: Final[dict[str, tuple[str, str]]] = {
    "tracecore/jaeger_agent": ("tracecore.exporters.jaeger_agent", "JaegerAgentExporter"),
    "tracecore/jaeger_collector": ("tracecore.exporters.jaeger_collector", "JaegerCollectorExporter"),
    "tracecore/msgpack_file": ("tracecore.exporters.msgpack_file", "MessagePackFileExporter"),
    "tracecore/otlp_file": ("tracecore.exporters.otlp_file", "OTLPFileExporter"),
    "tracecore/zipkin": ("tracecore.exporters.zipkin", "ZipkinExporter"),
}
"""Exporters that the schema does not have, or not with all their settings: these are the class's arguments."""

_OURS: Final[dict[str, Callable[[Any, Callable[[str, str], None]], Any]]] = {
    "console": _console,
    "otlp_file/development": _otlp_file,
    "otlp_grpc": _otlp_grpc,
    "otlp_http": _otlp_http,
    "zipkin": _zipkin,
}


def _otlp_arguments(settings: schema.OtlpHttp | schema.OtlpGrpc, note: Callable[[str, str], None]) -> dict[str, Any]:
    """Return the arguments that both transports share; what the file leaves out is left to their defaults."""
    arguments: dict[str, Any] = {"headers": _headers(settings)}
    if settings.endpoint is not None:
        arguments["endpoint"] = settings.endpoint
    if settings.compression is not None:
        arguments["compression"] = settings.compression.lower()
    if settings.timeout is not None:
        arguments["timeout"] = settings.timeout / 1000 or _NO_LIMIT_S
    if settings.max_request_size is not None:
        arguments["max_request_bytes"] = settings.max_request_size
    if settings.max_response_size is not None:
        note("max_response_size", "has no effect: of an answer no more is read than is needed")
    tls = settings.tls
    if tls is not None and _is_plain(settings):
        if tls.ca_file or tls.key_file or tls.cert_file:
            note("tls", "has no effect: the endpoint is not https")
    elif tls is not None:
        if (tls.key_file is None) != (tls.cert_file is None):
            given, other = ("cert_file", "key_file") if tls.key_file is None else ("key_file", "cert_file")
            raise ConfigurationError(f"tls.{given}", getattr(tls, given), f"{other} beside it")
        for argument, key in list(PLACES.items())[:3]:
            if (file := getattr(tls, key.partition(".")[2])) is not None:
                if not os.path.isabs(file):
                    raise ConfigurationError(key, file, "an absolute path")
                arguments[argument] = file
    return arguments


def _is_plain(settings: schema.OtlpHttp | schema.OtlpGrpc) -> bool:
    """Return whether the endpoint says that there is no TLS; one of gRPC without a scheme is for its exporter to judge."""
    if settings.endpoint is not None:
        return settings.endpoint.lower().startswith("http:")
    return isinstance(settings, schema.OtlpHttp)


def _headers(settings: schema.OtlpHttp | schema.OtlpGrpc) -> dict[str, str]:
    """Return the headers of both forms, names in lower case; `headers` wins over `headers_list`."""
    headers: dict[str, str] = {}
    for position, item in enumerate((settings.headers_list or "").split(","), start=1):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not item.strip():
            continue
        if not equals or not name:
            raise ConfigurationError("headers_list", "(hidden)", f"name=value, comma-separated; entry {position} is not")
        # As in OTEL_EXPORTER_OTLP_HEADERS: percent-encoded, unless there is a blank in it.
        headers[name.lower()] = value if " " in value else unquote(value)
    for header in [] if settings.headers is UNSET else settings.headers:
        if header.value is not None:
            headers[header.name.lower()] = header.value
    return headers


def _file_of(stream: str) -> str:
    parts = urlsplit(stream)
    is_file = parts.scheme == "file" and parts.netloc in ("", "localhost") and not (parts.query or parts.fragment)
    if not is_file or not parts.path.startswith("/") or parts.path.endswith("/"):
        raise ConfigurationError("output_stream", stream, "stdout or file:///path/to/file")
    return unquote(parts.path)
