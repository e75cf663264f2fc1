"""The specification's OTLP settings, turned into arguments of the OTLP exporters.

    environment --> protocol()           --> which of the two
                    exporter_arguments() --> (arguments, warnings) --> OTLPHTTPExporter(**arguments)
                    grpc_arguments()     --> (arguments, warnings) --> OTLPGRPCExporter(**arguments)

Every function here is pure: the environment comes in as a mapping, what was wrong with it goes out as sentences.
The two ways of configuring are judged by the same rules and differ only in what follows: a wrong argument in
code raises ConfigurationError, a wrong variable is ignored with a warning that says what is used instead, because
whoever sets variables around a program cannot be asked to fix the program.

Order, for each setting by itself: OTEL_EXPORTER_OTLP_TRACES_<X>, then OTEL_EXPORTER_OTLP_<X>, then the default.
An empty variable is an unset one.  A wrong value is passed over, so the next one in the order counts.

Credentials live in header values and in the userinfo of URLs: neither is ever part of a warning or an error.

Source: OpenTelemetry specification 1.55, "OpenTelemetry Protocol Exporter", "Environment Variable Specification".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypedDict, TypeVar
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from tracecore.errors import ConfigurationError

__all__ = [
    "COMPRESSIONS",
    "DEFAULT_ENDPOINT",
    "DEFAULT_GRPC_ENDPOINT",
    "DEFAULT_TIMEOUT_S",
    "Endpoint",
    "ExporterArguments",
    "GRPC_COMPRESSIONS",
    "GRPCArguments",
    "GRPCTarget",
    "check_compression",
    "check_header",
    "check_request_bytes",
    "check_timeout",
    "exporter_arguments",
    "grpc_arguments",
    "parse_endpoint",
    "parse_grpc_endpoint",
    "protocol",
    "traces_url",
]

DEFAULT_ENDPOINT = "http://localhost:4318/v1/traces"
DEFAULT_GRPC_ENDPOINT = "http://localhost:4317"
DEFAULT_TIMEOUT_S = 10.0
COMPRESSIONS = ("none", "gzip", "deflate", "zstd")
GRPC_COMPRESSIONS = ("none", "gzip", "deflate")
"""Those that are built into gRPC."""

_GENERAL = "OTEL_EXPORTER_OTLP_"
_TRACES = "OTEL_EXPORTER_OTLP_TRACES_"

_ENCODINGS = {"http/protobuf": "protobuf", "http/json": "json"}
"""What OTLP/HTTP sends, by the name of the protocol."""
_DEFAULT_PROTOCOL = "http/protobuf"
"""The specification's. opentelemetry-sdk's is gRPC, where both are installed."""
_PROTOCOLS = ("grpc", *_ENCODINGS)

_GRPC_PORT = 4317

_SUSPICIOUS_TIMEOUT_S = 1000.0
"""From here on the writer probably meant milliseconds, the unit the specification gives to durations."""

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""RFC 9110 section 5.6.2: what a header name is made of."""

_ENCODED_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
"""W3C Baggage: a percent-encoded value, without space, quote, comma, semicolon, backslash."""

_PLAIN_VALUE = re.compile(r"[\x20\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")
"""The same with spaces: not what the specification asks for, but what people write ("Bearer abc")."""

_FRAMING_HEADERS = frozenset({"connection", "content-encoding", "content-length", "trailer", "transfer-encoding"})
"""Headers that say how the request is cut up or packed: a value that contradicts the exporter breaks the request."""

_HOST_NAME = re.compile(r"[0-9A-Za-z_]([0-9A-Za-z_.-]*[0-9A-Za-z_.])?")

_BRACKETED = re.compile(r"\[([^\[\]]*)\](?::[0-9]*)?")

_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
"""Surrogates too: they are how an environment variable holds bytes that are not UTF-8."""

_GRPC_NAMES = frozenset({"dns", "ipv4", "ipv6", "unix", "unix-abstract", "vsock", "xds"})
"""Schemes of gRPC's own naming, which are handed to it as they are."""

_T = TypeVar("_T")


class Endpoint(NamedTuple):
    """Where requests go, taken apart as far as a connection needs it."""

    scheme: str
    """"http" or "https"."""
    host: str
    """Name in ASCII or address; an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query as they stand in the request line; never empty."""
    credentials: str | None
    """``user:password``, percent-decoded, or None when the URL had none."""

    @property
    def authority(self) -> str:
        """Host and port as the Host header wants them: brackets around IPv6, no default port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """The URL for a log line: without credentials, and without a query, where tokens are sometimes put."""
        return f"{self.scheme}://{self.authority}{self.target.partition('?')[0]}"


class ExporterArguments(TypedDict):
    """Keyword arguments of OTLPHTTPExporter."""

    endpoint: str
    encoding: str
    headers: dict[str, str]
    timeout: float
    compression: str
    certificate_file: str | None
    client_certificate_file: str | None
    client_key_file: str | None


class GRPCTarget(NamedTuple):
    """Where calls go, as gRPC wants it."""

    name: str
    """``host:port``, or a name in gRPC's own syntax."""
    secure: bool | None
    """Whether TLS is spoken; None where the endpoint does not say."""
    credentials: str | None
    """``user:password`` of a URL."""
    shown: str
    """The endpoint for a log line, without credentials."""


class GRPCArguments(TypedDict):
    """Keyword arguments of OTLPGRPCExporter."""

    endpoint: str
    insecure: bool | None
    headers: dict[str, str]
    timeout: float
    compression: str
    certificate_file: str | None
    client_certificate_file: str | None
    client_key_file: str | None


def parse_endpoint(variable: str, url: object) -> Endpoint:
    """Take `url` apart, or say what is wrong with it.

    A missing port is the scheme's own (80, 443), a missing path is "/", a fragment is dropped.
    Raises: ConfigurationError naming `variable`.
    """
    if not isinstance(url, str):
        raise ConfigurationError(variable, url, "a URL as a string, such as 'http://localhost:4318/v1/traces'")
    shown = _without_credentials(url)

    def wrong(expected: str) -> ConfigurationError:
        return ConfigurationError(variable, shown, expected)

    # urlsplit silently removes tabs and newlines: what it would repair was a mistake, and is said to be one.
    if _NOT_IN_A_URL.search(url):
        raise wrong("a URL of printable characters, without spaces")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port
    except ValueError as error:
        raise wrong(f"a well-formed URL ({error})") from None
    if parts.scheme not in ("http", "https") or not url[len(parts.scheme) :].startswith("://"):
        raise wrong("a URL that starts with http:// or https://")
    if port == 0:
        raise wrong("a port from 1 to 65535")
    if "[" in parts.netloc:
        _check_ipv6(parts.netloc.rpartition("@")[2], wrong)
    else:
        host = _ascii_host(host, wrong)
    credentials = None
    if "@" in parts.netloc:
        user = unquote(parts.username or "")
        if ":" in user:
            raise wrong("a user name without a colon: HTTP Basic authentication cannot carry one")
        credentials = f"{user}:{unquote(parts.password or '')}"
    # Characters beyond ASCII are encoded, what is encoded already stays as it is ("%" is safe).
    target = quote(parts.path, safe="/%:@!$&'()*+,;=~-._") or "/"
    if parts.query:
        target += "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~-._[]")
    return Endpoint(parts.scheme, host, port or _default_port(parts.scheme), target, credentials)


def parse_grpc_endpoint(variable: str, endpoint: object) -> GRPCTarget:
    """Take an endpoint for gRPC apart: a URL, ``host:port``, or a name such as ``unix:/run/collector.sock``.

    Of a URL the scheme says whether TLS is spoken, a missing port is the scheme's own, and a path has no meaning to
    gRPC: it is dropped, as opentelemetry-python drops it.  A socket of this machine is spoken to without TLS.
    Raises: ConfigurationError naming `variable`.
    """
    expected = "a URL, host:port, or a name such as unix:/run/collector.sock"
    if not isinstance(endpoint, str):
        raise ConfigurationError(variable, endpoint, expected)
    if "://" in endpoint and endpoint.partition("://")[0].lower() in ("http", "https"):
        url = parse_endpoint(variable, endpoint)
        host = f"[{url.host}]" if ":" in url.host else url.host
        return GRPCTarget(
            f"{host}:{url.port}", url.scheme == "https", url.credentials, f"{url.scheme}://{host}:{url.port}"
        )
    if _NOT_IN_A_URL.search(endpoint):
        raise ConfigurationError(variable, _without_credentials(endpoint), f"{expected}, without spaces")
    scheme, colon, rest = endpoint.partition(":")
    if scheme in _GRPC_NAMES and colon:
        if not rest.strip("/"):
            raise ConfigurationError(variable, endpoint, expected)
        return GRPCTarget(endpoint, False if scheme.startswith("unix") else None, None, endpoint)
    try:
        plain = parse_endpoint(variable, "http://" + endpoint)
    except ConfigurationError as fault:
        raise ConfigurationError(variable, _without_credentials(endpoint), f"{expected}: {fault.expected}") from None
    if plain.target != "/" or plain.credentials is not None or endpoint != endpoint.rstrip("/"):
        raise ConfigurationError(variable, _without_credentials(endpoint), expected)
    return GRPCTarget(endpoint, None, None, endpoint)


def traces_url(base: str) -> str:
    """Return the URL that receives traces under the base URL `base`: ``v1/traces`` appended to its path.

    A query stays behind the longer path.  Source: specification, "Endpoint URLs for OTLP/HTTP".
    """
    parts = urlsplit(base)
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    return urlunsplit((parts.scheme, parts.netloc, path + "v1/traces", parts.query, ""))


def check_header(variable: str, name: object, value: object) -> None:
    """Refuse a header that could not be sent, or that would change where the request ends.

    Raises: ConfigurationError naming `variable` and the header, never showing the header's value.
    """
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ConfigurationError(variable, name, "header names of letters, digits and !#$%&'*+-.^_`|~")
    where = f"{variable}[{name!r}]"
    if not isinstance(value, str):
        raise ConfigurationError(where, type(value).__name__, "a string")
    if name.lower() in _FRAMING_HEADERS:
        raise ConfigurationError(where, "(hidden)", "no such header: the exporter sets it from its own arguments")
    # Tab is the one control character a field value may hold; surrogates cannot be sent in any encoding.
    if any((ch < " " and ch != "\t") or ch == "\x7f" or "\ud800" <= ch <= "\udfff" for ch in value):
        raise ConfigurationError(where, "(hidden)", "a value without line breaks and control characters")


def check_timeout(variable: str, value: object) -> float:
    """Return `value` as seconds.

    Raises: ConfigurationError naming `variable`.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        raise ConfigurationError(variable, value, "a finite number of seconds above 0")
    return float(value)


def check_request_bytes(variable: str, value: object) -> int:
    """Return `value` as a number of bytes.

    Raises: ConfigurationError naming `variable`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(variable, value, "an integer of bytes, 0 for no limit")
    return value


def check_compression(variable: str, value: object, known: tuple[str, ...] = COMPRESSIONS) -> str:
    """Return `value` when it names a compression that the transport can carry here.

    Raises: ConfigurationError naming `variable`.
    """
    if not isinstance(value, str) or value not in known:
        raise ConfigurationError(variable, value, "one of " + ", ".join(known))
    return value


def protocol(environment: Mapping[str, str]) -> str:
    """Return "grpc", "http/protobuf" or "http/json".  What is wrong with the variables, exporter_arguments tells."""
    return _setting(environment, "PROTOCOL", _read_protocol, _DEFAULT_PROTOCOL, [])


def exporter_arguments(
    environment: Mapping[str, str], asked_for: str | None = None
) -> tuple[ExporterArguments, list[str]]:
    """Return OTLPHTTPExporter's arguments that `environment` asks for, and a sentence for each setting that was wrong.

    `asked_for` is the protocol of an exporter that was asked for by a name of its own; None: the variables decide.

    Timeouts are read in seconds and may have a fraction, as opentelemetry-python reads them; the specification
    counts durations in milliseconds, so a value of 1000 or more is used but remarked upon.
    Files are passed on unopened: the exporter refuses a certificate it cannot load rather than run without it.
    """
    warnings: list[str] = []
    served = asked_for or _setting(environment, "PROTOCOL", _read_protocol, _DEFAULT_PROTOCOL, warnings)
    if served not in _ENCODINGS:
        warnings.append(
            f"{_variable(environment, 'PROTOCOL')}={served!r}: this exporter was asked for OTLP/HTTP;"
            f" using {_DEFAULT_PROTOCOL!r} instead"
        )
        served = _DEFAULT_PROTOCOL
    url = _setting(environment, "ENDPOINT", _read_endpoint, DEFAULT_ENDPOINT, warnings)
    endpoint = parse_endpoint("endpoint", url)
    if endpoint.port == _GRPC_PORT:
        warnings.append(
            f"{endpoint.shown}: port {_GRPC_PORT} speaks gRPC by convention, and {served} is sent there; receivers"
            " take it on port 4318, and OTEL_EXPORTER_OTLP_PROTOCOL=grpc sends gRPC"
        )
    arguments: ExporterArguments = {
        "endpoint": url,
        "encoding": _ENCODINGS[served],
        "headers": _read_headers(environment, warnings),
        "timeout": _setting(environment, "TIMEOUT", _read_timeout, DEFAULT_TIMEOUT_S, warnings),
        "compression": _setting(environment, "COMPRESSION", _read_compression, "none", warnings),
        "certificate_file": None,
        "client_certificate_file": None,
        "client_key_file": None,
    }
    _remark_upon_timeout(environment, arguments["timeout"], warnings)
    if endpoint.scheme == "https" and _value(environment, "INSECURE").lower() == "true":
        warnings.append(
            f"{_variable(environment, 'INSECURE')}='true' is not used: the scheme of {endpoint.shown} decides, so TLS"
            " is on"
        )
    _read_tls(environment, endpoint.shown, endpoint.scheme == "https", arguments, warnings)
    return arguments, warnings


def grpc_arguments(environment: Mapping[str, str]) -> tuple[GRPCArguments, list[str]]:
    """Return OTLPGRPCExporter's arguments that `environment` asks for, and a sentence for each wrong setting.

    INSECURE counts only where the endpoint has no scheme that says it; without either, TLS is spoken.
    """
    warnings: list[str] = []
    endpoint = _setting(environment, "ENDPOINT", _read_grpc_endpoint, DEFAULT_GRPC_ENDPOINT, warnings)
    target = parse_grpc_endpoint("endpoint", endpoint)
    insecure = _setting(environment, "INSECURE", _read_truth, False, warnings)
    if target.secure is True and insecure:
        warnings.append(
            f"{_variable(environment, 'INSECURE')}='true' is not used: the scheme of {target.shown} decides, so TLS"
            " is on"
        )
    arguments: GRPCArguments = {
        "endpoint": endpoint,
        "insecure": insecure if target.secure is None else None,
        "headers": _read_headers(environment, warnings),
        "timeout": _setting(environment, "TIMEOUT", _read_timeout, DEFAULT_TIMEOUT_S, warnings),
        "compression": _setting(environment, "COMPRESSION", _read_grpc_compression, "none", warnings),
        "certificate_file": None,
        "client_certificate_file": None,
        "client_key_file": None,
    }
    _remark_upon_timeout(environment, arguments["timeout"], warnings)
    is_secure = target.secure if target.secure is not None else not insecure
    _read_tls(environment, target.shown, is_secure, arguments, warnings)
    return arguments, warnings


def _remark_upon_timeout(environment: Mapping[str, str], timeout_s: float, warnings: list[str]) -> None:
    if timeout_s >= _SUSPICIOUS_TIMEOUT_S:
        warnings.append(f"{_variable(environment, 'TIMEOUT')}={timeout_s:g} is read as seconds, not milliseconds")


def _read_tls(
    environment: Mapping[str, str],
    shown: str,
    is_secure: bool,
    arguments: ExporterArguments | GRPCArguments,
    warnings: list[str],
) -> None:
    """Fill in the certificate files, as far as they have a meaning for the endpoint."""
    files = {
        suffix: _value(environment, suffix) for suffix in ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
    }
    if not is_secure:
        warnings.extend(
            f"{_variable(environment, suffix)}={path!r} is not used: {shown} is not an https endpoint"
            for suffix, path in files.items()
            if path
        )
        return
    if files["CLIENT_KEY"] and not files["CLIENT_CERTIFICATE"]:
        warnings.append(
            f"{_variable(environment, 'CLIENT_KEY')}={files['CLIENT_KEY']!r} is not used: no client certificate is set"
        )
        files["CLIENT_KEY"] = ""
    arguments["certificate_file"] = files["CERTIFICATE"] or None
    arguments["client_certificate_file"] = files["CLIENT_CERTIFICATE"] or None
    arguments["client_key_file"] = files["CLIENT_KEY"] or None


def _read_headers(environment: Mapping[str, str], warnings: list[str]) -> dict[str, str]:
    """Return the headers of the variable that counts, names in lower case; the last of equal names wins.

    Accepted and decoded as opentelemetry-python does it: a value with a space in it is taken literally, any
    other is percent-decoded.  Entries are told by position, as even a name may be half of a mistyped secret.
    """
    variable = _variable(environment, "HEADERS")
    headers: dict[str, str] = {}
    for position, entry in enumerate(_value(environment, "HEADERS").split(","), start=1):
        if not entry.strip():
            continue
        name, equals, value = (part.strip() for part in entry.partition("="))
        if not equals or not _TOKEN.fullmatch(name) or not _PLAIN_VALUE.fullmatch(value):
            warnings.append(f"{variable}: entry {position} is left out, expected name=value, percent-encoded")
            continue
        if _ENCODED_VALUE.fullmatch(value):
            name, value = unquote(name).strip(), unquote(value).strip()
        try:
            check_header(variable, name, value)
        except ConfigurationError as fault:
            warnings.append(f"{variable}: entry {position} is left out, expected {fault.expected}")
            continue
        headers[name.lower()] = value
    return headers


def _read_protocol(variable: str, text: str) -> str:
    if text not in _PROTOCOLS:
        raise ConfigurationError(variable, text, "one of " + ", ".join(_PROTOCOLS))
    return text


def _read_grpc_endpoint(variable: str, text: str) -> str:
    parse_grpc_endpoint(variable, text)
    return text


def _read_grpc_compression(variable: str, text: str) -> str:
    return check_compression(variable, text.lower(), GRPC_COMPRESSIONS)


def _read_truth(variable: str, text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ConfigurationError(variable, text, "true or false")
    return text.lower() == "true"


def _read_endpoint(variable: str, text: str) -> str:
    # Judged before it is extended, so that a warning shows what the variable held.
    parse_endpoint(variable, text)
    return text if variable.startswith(_TRACES) else traces_url(text)


def _read_timeout(variable: str, text: str) -> float:
    try:
        return check_timeout(variable, float(text))
    except ValueError:
        raise ConfigurationError(variable, text, "a finite number of seconds above 0") from None


def _read_compression(variable: str, text: str) -> str:
    return check_compression(variable, text.lower())


def _setting(
    environment: Mapping[str, str],
    suffix: str,
    read: Callable[[str, str], _T],
    default: _T,
    warnings: list[str],
) -> _T:
    """Return the first value in the order that `read` accepts, or `default`; add a warning for each refused."""
    used, refused = default, []
    for variable in (_TRACES + suffix, _GENERAL + suffix):
        text = environment.get(variable, "").strip()
        if not text:
            continue
        try:
            used = read(variable, text)
            break
        except ConfigurationError as fault:
            refused.append(fault)
    shown = _without_credentials(used) if isinstance(used, str) else used
    warnings.extend(f"{fault}; using {shown!r} instead" for fault in refused)
    return used


def _variable(environment: Mapping[str, str], suffix: str) -> str:
    """Return the name of the variable that counts for `suffix`."""
    specific = _TRACES + suffix
    return specific if environment.get(specific, "").strip() else _GENERAL + suffix


def _value(environment: Mapping[str, str], suffix: str) -> str:
    return environment.get(_variable(environment, suffix), "").strip()


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _without_credentials(url: str) -> str:
    """Return `url` with stars for all that may be secret: what stands before the last @, and the query.

    Rather too much than too little: a password with an unencoded / or ? in it is what makes a URL malformed.
    """
    head, at, tail = url.rpartition("@")
    if at:
        scheme, slashes, _ = head.partition("//")
        head = (scheme + slashes if slashes else "") + "***@"
    tail, query, _ = tail.partition("?")
    return head + tail + ("?***" if query else "")


def _check_ipv6(host_and_port: str, wrong: Callable[[str], ConfigurationError]) -> None:
    from ipaddress import IPv6Address

    brackets = _BRACKETED.fullmatch(host_and_port)
    try:
        scope = IPv6Address(brackets.group(1) if brackets else "").scope_id
    except ValueError:
        raise wrong("an IPv6 address inside the brackets, and at most a port after them") from None
    if scope is not None:
        raise wrong("an IPv6 address without a zone")


def _ascii_host(host: str, wrong: Callable[[str], ConfigurationError]) -> str:
    """Return `host` as it is looked up: names beyond ASCII in their IDNA form."""
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            raise wrong("a host name that can be looked up") from None
    if not _HOST_NAME.fullmatch(host):
        raise wrong("a host name or address after the scheme")
    return host
