"""OTLP settings from an environment: the specification's rules, and opentelemetry-python's reading of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http._common import _resolve_endpoint, _resolve_timeout
from opentelemetry.util.re import parse_env_headers

from tracecore.errors import ConfigurationError
from tracecore.exporters.otlp_http import OTLPHTTPExporter
from tracecore.exporters.otlp_settings import Endpoint, check_header, exporter_arguments, parse_endpoint, protocol, traces_url

BASE = "OTEL_EXPORTER_OTLP_"
TRACES = "OTEL_EXPORTER_OTLP_TRACES_"


def read(**settings: str) -> dict[str, Any]:
    """Read settings named without their prefix, expecting no warning."""
    arguments, warnings = exporter_arguments({BASE + name: text for name, text in settings.items()})
    assert warnings == []
    return dict(arguments)


def read_wrong(**settings: str) -> tuple[dict[str, Any], str]:
    """Read settings named without their prefix, expecting exactly one warning."""
    arguments, warnings = exporter_arguments({BASE + name: text for name, text in settings.items()})
    (warning,) = warnings
    return dict(arguments), warning


# --- defaults -------------------------------------------------------------------------------------------------


def test_an_empty_environment_gives_the_specifications_defaults() -> None:
    assert read() == {
        "endpoint": "http://localhost:4318/v1/traces",
        "encoding": "protobuf",
        "headers": {},
        "timeout": 10.0,
        "compression": "none",
        "certificate_file": None,
        "client_certificate_file": None,
        "client_key_file": None,
    }


def test_empty_and_blank_variables_are_unset_ones() -> None:
    names = ("ENDPOINT", "HEADERS", "TIMEOUT", "COMPRESSION", "CERTIFICATE", "CLIENT_KEY", "PROTOCOL", "INSECURE")
    empty = {prefix + name: text for prefix in ("", "TRACES_") for name in names for text in ("", " ")}
    assert read(**empty) == read()


def test_the_arguments_are_the_exporters() -> None:
    arguments, _ = exporter_arguments({BASE + "ENDPOINT": "http://collector:4318", BASE + "COMPRESSION": "gzip"})
    assert repr(OTLPHTTPExporter(**arguments)) == (
        "<OTLPHTTPExporter http://collector:4318/v1/traces compression=gzip>"
    )


def test_every_setting_for_traces_wins_over_the_general_one() -> None:
    general = {
        "ENDPOINT": "https://general:1/",
        "HEADERS": "a=1,b=2",
        "TIMEOUT": "1",
        "COMPRESSION": "gzip",
        "CERTIFICATE": "/general/ca",
        "CLIENT_CERTIFICATE": "/general/cert",
        "CLIENT_KEY": "/general/key",
    }
    specific = {
        "TRACES_ENDPOINT": "https://traces:2/",
        "TRACES_HEADERS": "b=3",
        "TRACES_TIMEOUT": "2",
        "TRACES_COMPRESSION": "deflate",
        "TRACES_CERTIFICATE": "/traces/ca",
        "TRACES_CLIENT_CERTIFICATE": "/traces/cert",
        "TRACES_CLIENT_KEY": "/traces/key",
    }
    assert read(**general) == {
        "endpoint": "https://general:1/v1/traces",
        "encoding": "protobuf",
        "headers": {"a": "1", "b": "2"},
        "timeout": 1.0,
        "compression": "gzip",
        "certificate_file": "/general/ca",
        "client_certificate_file": "/general/cert",
        "client_key_file": "/general/key",
    }
    assert read(**general, **specific) == {
        "endpoint": "https://traces:2/",
        "encoding": "protobuf",
        "headers": {"b": "3"},
        "timeout": 2.0,
        "compression": "deflate",
        "certificate_file": "/traces/ca",
        "client_certificate_file": "/traces/cert",
        "client_key_file": "/traces/key",
    }


# --- endpoints ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("http://collector:4318/base", "http://collector:4318/base/v1/traces"),
        ("http://collector:4318/base/", "http://collector:4318/base/v1/traces"),
        ("http://collector:4318//", "http://collector:4318//v1/traces"),
        ("https://collector", "https://collector/v1/traces"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
        ("http://user:pass@collector:4318/a%20b/", "http://user:pass@collector:4318/a%20b/v1/traces"),
        ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces/v1/traces"),
    ],
)
def test_the_signal_path_is_appended_to_a_base_url_as_opentelemetry_python_does(
    base: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(ENDPOINT=base)["endpoint"] == url
    monkeypatch.setenv(BASE + "ENDPOINT", base)
    assert _resolve_endpoint(TRACES + "ENDPOINT", "v1/traces") == url


def test_the_query_of_a_base_url_stays_behind_the_signal_path() -> None:
    assert traces_url("https://collector/base/?token=a#part") == "https://collector/base/v1/traces?token=a"


@pytest.mark.parametrize("url", ["http://collector:4318", "https://collector/other", "http://collector/v1/traces/?a=b"])
def test_an_endpoint_for_traces_is_used_as_it_is(url: str) -> None:
    assert read(TRACES_ENDPOINT=url)["endpoint"] == url


@pytest.mark.parametrize(
    ("url", "endpoint", "authority"),
    [
        ("http://collector", Endpoint("http", "collector", 80, "/", None), "collector"),
        ("HTTPS://Collector", Endpoint("https", "collector", 443, "/", None), "collector"),
        ("http://collector:443/a", Endpoint("http", "collector", 443, "/a", None), "collector:443"),
        ("http://collector:", Endpoint("http", "collector", 80, "/", None), "collector"),
        ("http://10.0.0.1:4318?q", Endpoint("http", "10.0.0.1", 4318, "/?q", None), "10.0.0.1:4318"),
        ("http://[FE80::1]:4318/", Endpoint("http", "fe80::1", 4318, "/", None), "[fe80::1]:4318"),
        ("https://[::1]", Endpoint("https", "::1", 443, "/", None), "[::1]"),
        ("http://u%3A:p@ss@h/", None, ""),
        ("http://u:p@ss@h/", Endpoint("http", "h", 80, "/", "u:p@ss"), "h"),
        ("http://u%40d@h/", Endpoint("http", "h", 80, "/", "u@d:"), "h"),
        ("http://h/\u00e4%20/{x}?y=\u00e4", Endpoint("http", "h", 80, "/%C3%A4%20/%7Bx%7D?y=%C3%A4", None), "h"),
        ("http://b\u00fcro.example/", Endpoint("http", "xn--bro-hoa.example", 80, "/", None), "xn--bro-hoa.example"),
        ("http://my_service.ns:4318/", Endpoint("http", "my_service.ns", 4318, "/", None), "my_service.ns:4318"),
    ],
)
def test_urls_are_taken_apart(url: str, endpoint: Endpoint | None, authority: str) -> None:
    if endpoint is None:
        with pytest.raises(ConfigurationError):
            parse_endpoint("endpoint", url)
        return
    assert parse_endpoint("endpoint", url) == endpoint
    assert parse_endpoint("endpoint", url).authority == authority


MALFORMED = [
    "localhost:4318",
    "collector",
    "//collector:4318",
    "http:collector",
    "http:/collector",
    "http://",
    "http:///v1/traces",
    "http://:4318",
    "http://collector:0",
    "http://collector:65536",
    "http://collector:http",
    "http://coll ector:4318",
    "http://collector:4318/a\r\nX-Injected: 1",
    "http://col\tlector/",
    "http://collector\udcff/",
    "http://collector/\udcff",
    "http://col%6cector/",
    "http://[::1",
    "http://[::1]x:4318/",
    "http://[collector]:4318/",
    "http://[fe80::1%25eth0]:4318/",
    "http://\u00fc" + "x" * 70 + "/",
    "grpc://collector:4317",
    "unix:///var/run/otlp.sock",
]


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_endpoint_is_an_error_in_code_and_a_warning_in_the_environment(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        OTLPHTTPExporter(url)
    assert caught.value.variable == "endpoint"
    arguments, warning = read_wrong(ENDPOINT=url)
    assert arguments["endpoint"] == "http://localhost:4318/v1/traces"
    assert warning.startswith(f"{BASE}ENDPOINT={url!r}: expected ")
    assert warning.endswith("; using 'http://localhost:4318/v1/traces' instead")


def test_a_wrong_endpoint_for_traces_is_passed_over_for_the_general_one() -> None:
    arguments, warning = read_wrong(TRACES_ENDPOINT="collector:4318", ENDPOINT="http://other:4318")
    assert arguments["endpoint"] == "http://other:4318/v1/traces"
    assert warning.startswith(f"{TRACES}ENDPOINT='collector:4318'")
    assert "using 'http://other:4318/v1/traces' instead" in warning


@pytest.mark.parametrize(
    "url",
    [
        "ftp://user:secret@collector/",
        "user:secret@collector:4318",
        "http://user:sec/secret@collector/",
        "http://user:sec?secret@collector/",
        "ftp://collector/?token=secret",
        "http://us%3Aer:secret@collector/",
    ],
)
def test_no_warning_or_error_shows_what_may_be_secret_in_a_url(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_endpoint("endpoint", url)
    assert "secret" not in str(caught.value) and "collector" in str(caught.value)
    _, warnings = exporter_arguments({TRACES + "ENDPOINT": url, BASE + "ENDPOINT": "http://user:secret@h/?k=secret"})
    assert len(warnings) == 1 and "secret" not in warnings[0]


def test_the_port_of_grpc_is_remarked_upon() -> None:
    arguments, warning = read_wrong(ENDPOINT="http://collector:4317")
    assert arguments["endpoint"] == "http://collector:4317/v1/traces"
    assert "4317" in warning and "4318" in warning


@given(st.text(max_size=60))
def test_any_text_for_an_endpoint_is_taken_apart_or_refused(text: str) -> None:
    for url in (text, "http://" + text):
        try:
            endpoint = parse_endpoint("endpoint", url)
        except ConfigurationError:
            continue
        assert endpoint.target.startswith(("/", "?")) and endpoint.target.isascii() and " " not in endpoint.target
        assert endpoint.host.isascii() and 0 < endpoint.port < 65536


# --- headers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        ("key=value", {"key": "value"}),
        (" Key = value , other=a=b== ,, ", {"key": "value", "other": "a=b=="}),
        ("authorization=Bearer%20abc%2C%C3%A9", {"authorization": "Bearer abc,\u00e9"}),
        ("authorization=Bearer abc%20", {"authorization": "Bearer abc%20"}),
        ("empty=", {"empty": ""}),
        ("a=1,A=2", {"a": "2"}),
    ],
)
def test_headers_are_read_as_opentelemetry_python_reads_them(text: str, headers: dict[str, str]) -> None:
    assert read(HEADERS=text)["headers"] == headers == parse_env_headers(text, liberal=True)


@pytest.mark.parametrize(
    "entry",
    [
        "secret",
        "=secret",
        "na me=secret",
        "na%20me=secret",
        "key=secret;property",
        'key="secret"',
        "key=secret%0d%0ax:1",
        "key=secret%00",
        "key=secret\u00e9",
        "content-length=secret",
    ],
)
def test_a_wrong_header_is_left_out_and_its_value_not_shown(entry: str) -> None:
    arguments, warning = read_wrong(HEADERS=f"good=1,{entry},also=2")
    assert arguments["headers"] == {"good": "1", "also": "2"}
    assert warning.startswith(f"{BASE}HEADERS: entry 2 ")
    assert "secret" not in warning


_HEADER_TEXT = st.text(st.sampled_from("ab%20C3A9=,; \t\"\\-_/:"), max_size=30) | st.text(max_size=20)


def _can_be_sent(name: str, value: str) -> bool:
    try:
        check_header("headers", name, value)
    except ConfigurationError:
        return False
    return True


@given(_HEADER_TEXT)
def test_headers_are_those_of_opentelemetry_python_less_the_ones_that_cannot_be_sent(text: str) -> None:
    arguments, _ = exporter_arguments({TRACES + "HEADERS": text})
    expected: dict[str, str] = {}
    for entry in text.split(","):
        read_by_reference = parse_env_headers(entry, liberal=True)
        expected.update({name: value for name, value in read_by_reference.items() if _can_be_sent(name, value)})
    assert arguments["headers"] == expected


# --- the rest -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["10", "0.5", " 3 ", "1e1"])
def test_a_timeout_is_read_in_seconds_as_opentelemetry_python_does(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BASE + "TIMEOUT", text)
    assert read(TIMEOUT=text)["timeout"] == _resolve_timeout(TRACES + "TIMEOUT") == float(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "10s", "ten"])
def test_a_wrong_timeout_leaves_the_default(text: str) -> None:
    arguments, warning = read_wrong(TIMEOUT=text)
    assert arguments["timeout"] == 10.0
    assert warning == f"{BASE}TIMEOUT={text!r}: expected a finite number of seconds above 0; using 10.0 instead"


def test_a_timeout_that_looks_like_milliseconds_is_used_and_remarked_upon() -> None:
    arguments, warning = read_wrong(TRACES_TIMEOUT="10000")
    assert arguments["timeout"] == 10000.0
    assert warning == f"{TRACES}TIMEOUT=10000 is read as seconds, not milliseconds"


@pytest.mark.parametrize("text", ["none", "gzip", "deflate", "zstd", "GZIP", " gzip "])
def test_compressions_are_known_in_any_case(text: str) -> None:
    assert read(COMPRESSION=text)["compression"] == text.strip().lower()


def test_a_wrong_compression_leaves_the_next_in_the_order() -> None:
    arguments, warning = read_wrong(TRACES_COMPRESSION="brotli", COMPRESSION="gzip")
    assert arguments["compression"] == "gzip"
    assert warning == f"{TRACES}COMPRESSION='brotli': expected one of none, gzip, deflate, zstd; using 'gzip' instead"


def test_two_wrong_values_of_one_setting_are_two_warnings() -> None:
    _, warnings = exporter_arguments({TRACES + "COMPRESSION": "brotli", BASE + "COMPRESSION": "lzma"})
    assert [warning.partition("=")[0] for warning in warnings] == [TRACES + "COMPRESSION", BASE + "COMPRESSION"]
    assert all(warning.endswith("using 'none' instead") for warning in warnings)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "http/protobuf"),
        ({"PROTOCOL": "grpc"}, "grpc"),
        ({"PROTOCOL": "http/json"}, "http/json"),
        ({"PROTOCOL": "grpc", "TRACES_PROTOCOL": "http/protobuf"}, "http/protobuf"),
        ({"PROTOCOL": "grpc", "TRACES_PROTOCOL": "thrift"}, "grpc"),
        ({"PROTOCOL": "GRPC"}, "http/protobuf"),
    ],
)
def test_the_protocol_for_traces_wins_and_a_wrong_one_is_passed_over(settings: dict[str, str], expected: str) -> None:
    assert protocol({BASE + name: text for name, text in settings.items()}) == expected


def test_the_protocol_chooses_the_encoding_and_an_unknown_one_is_told() -> None:
    assert read(PROTOCOL="http/protobuf") == read()
    assert read(PROTOCOL="http/json")["encoding"] == "json"
    _, warning = read_wrong(TRACES_PROTOCOL="thrift")
    assert warning == (
        f"{TRACES}PROTOCOL='thrift': expected one of grpc, http/protobuf, http/json; using 'http/protobuf' instead"
    )


def test_an_exporter_over_http_does_not_send_grpc_and_says_so() -> None:
    arguments, warning = read_wrong(PROTOCOL="grpc")
    assert arguments["encoding"] == "protobuf"
    assert warning.startswith(f"{BASE}PROTOCOL='grpc': this exporter was asked for OTLP/HTTP")


def test_certificates_for_plain_http_are_left_out_with_a_warning_each() -> None:
    arguments, warnings = exporter_arguments({BASE + "CERTIFICATE": "/ca", TRACES + "CLIENT_CERTIFICATE": "/cert"})
    assert (arguments["certificate_file"], arguments["client_certificate_file"]) == (None, None)
    assert [warning.partition(" ")[0] for warning in warnings] == [
        f"{BASE}CERTIFICATE='/ca'",
        f"{TRACES}CLIENT_CERTIFICATE='/cert'",
    ]


def test_a_client_key_alone_is_left_out_with_a_warning() -> None:
    arguments, warning = read_wrong(ENDPOINT="https://collector", CLIENT_KEY="/key")
    assert arguments["client_key_file"] is None
    assert warning.startswith(f"{BASE}CLIENT_KEY='/key' is not used")


def test_insecure_does_not_turn_tls_off_and_says_so() -> None:
    arguments, warning = read_wrong(ENDPOINT="https://collector", INSECURE="true")
    assert arguments["endpoint"].startswith("https://")
    assert warning.startswith(f"{BASE}INSECURE='true' is not used")
    assert read(ENDPOINT="http://collector:4318", INSECURE="true")["endpoint"] == "http://collector:4318/v1/traces"
    assert read(ENDPOINT="https://collector", INSECURE="false")["endpoint"] == "https://collector/v1/traces"
