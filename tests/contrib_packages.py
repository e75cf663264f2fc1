"""The packages of OpenTelemetry whose own tests contrib.py runs, and what those tests need beside them.

The distributions carry no test requirements: what a package instruments is in its extra "instruments", the rest stands
here. CONTRIB lists every opentelemetry-instrumentation-* of one release of opentelemetry-python-contrib and what lives
beside it in that repository, CORE those of opentelemetry-python, GENAI the packages of its younger sister repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SDK: Final = "1.45.1"
CONTRIB_RELEASE: Final = "0.66b1"

PROVIDER: Final = "contrib_plugin"
"""tracecore's TracerProvider, everything else of opentelemetry-sdk stays: its processors, exporters and samplers."""

EVERYTHING: Final = "sdk_plugin"
"""Every module of opentelemetry-sdk's tracing is tracecore's."""

COMMON: Final = (
    f"opentelemetry-sdk=={SDK}",
    f"opentelemetry-test-utils=={CONTRIB_RELEASE}",
    "pytest>=8",
    "pytest-timeout",
)
"""Installed beside each."""

INSTRUMENTATION: Final = "opentelemetry-instrumentation-"


@dataclass(frozen=True)
class Package:
    """One distribution."""

    name: str
    version: str
    requirements: tuple[str, ...] = ()
    """What its tests import, beyond the package, its extra "instruments" and COMMON."""
    plugins: tuple[str, ...] = (PROVIDER, EVERYTHING)
    makes_spans: bool = True
    """Whether a run in which tracecore makes no span means that the replacement has missed."""
    options: tuple[str, ...] = ()
    """Further arguments for pytest."""
    alone: bool = False
    """Its tests listen on ports that another package's tests listen on too."""

    @property
    def short_name(self) -> str:
        return self.name.removeprefix(INSTRUMENTATION)

    @property
    def all_requirements(self) -> tuple[str, ...]:
        return (f"{self.name}[instruments]=={self.version}", *COMMON, *self.requirements)


def _contrib(name: str, *requirements: str, makes_spans: bool = True, alone: bool = False) -> Package:
    return Package(INSTRUMENTATION + name, CONTRIB_RELEASE, requirements, makes_spans=makes_spans, alone=alone)


def _core(name: str, *requirements: str, version: str = SDK, makes_spans: bool = True, alone: bool = False) -> Package:
    return Package(name, version, requirements, (EVERYTHING,), makes_spans, alone=alone)


def _genai(name: str, *requirements: str, version: str = "1.3b0", util: str = "1.3b0", makes_spans: bool = True) -> Package:
    # The answers of the models' servers are on tape; a request that is not must not go out.
    needed = (f"opentelemetry-util-genai=={util}", "pytest-vcr", "pytest-asyncio", *requirements)
    return Package(name, version, needed, options=("--vcr-record=none",), makes_spans=makes_spans)


def _of(name: str) -> str:
    """A requirement on another instrumentation of the same release."""
    return f"{INSTRUMENTATION}{name}=={CONTRIB_RELEASE}"


CONTRIB: Final = (
    _contrib("aio-pika", makes_spans=False),
    _contrib("aiohttp-client", "aiohttp==3.10.2", "http_server_mock", alone=True),
    _contrib("aiohttp-server", "pytest-aiohttp", "pytest-asyncio"),
    _contrib("aiokafka"),
    _contrib("aiopg", "psycopg2-binary"),
    _contrib("asgi"),
    _contrib("asyncclick"),
    _contrib("asyncio", "pytest-asyncio"),
    _contrib("asyncpg"),
    _contrib("aws-lambda", "opentelemetry-propagator-aws-xray"),
    _contrib("boto3sqs", "boto3<1.35"),
    _contrib(
        "botocore",
        "boto3==1.43.0",
        "aiobotocore==3.7.0",
        "moto[ec2,s3,kinesis,sqs,awslambda,sts,dynamodb,xray,iam,sns]==5.1.11",
        "aws-xray-sdk",
        "pytest-vcr",
        "pyyaml",
        "opentelemetry-propagator-aws-xray",
    ),
    _contrib("cassandra", "cassandra-driver>=3.25,<4"),
    _contrib("celery", "pytest-celery==0.0.0"),
    _contrib("click", "flask"),
    _contrib("confluent-kafka"),
    _contrib("dbapi"),
    _contrib("django", _of("asgi")),
    _contrib("exceptions", makes_spans=False),
    _contrib("falcon"),
    _contrib("fastapi", "fastapi<0.120", "httpx", "requests", "python-multipart"),
    _contrib("flask"),
    _contrib("grpc", "protobuf==3.20.3", alone=True),
    _contrib("httpx", "httpx", "httpx2", "respx"),
    _contrib("jinja2"),
    _contrib("kafka-python"),
    _contrib("logging"),
    _contrib("mysql"),
    _contrib("mysqlclient"),
    _contrib("pika"),
    _contrib("psycopg", "psycopg[binary]"),
    _contrib("psycopg2", "psycopg2-binary"),
    _contrib("pymemcache"),
    _contrib("pymongo"),
    _contrib("pymssql"),
    _contrib("pymysql"),
    _contrib("pyramid", "werkzeug", "setuptools<82"),
    _contrib("redis", "fakeredis[lua,json]"),
    _contrib("remoulade"),
    _contrib("requests", "mocket"),
    _contrib("sqlalchemy", "aiosqlite", "greenlet"),
    _contrib("sqlite3"),
    _contrib("starlette", "starlette<0.48", "httpx", "requests"),
    _contrib("structlog", makes_spans=False),
    _contrib("system-metrics", makes_spans=False),
    _contrib("threading"),
    _contrib("tornado", "http_server_mock", alone=True),
    _contrib("tortoiseorm", "tortoise-orm<0.21", "aiosqlite<0.21"),
    _contrib("urllib", "mocket"),
    _contrib("urllib3", "mocket"),
    _contrib("wsgi"),
    Package("opentelemetry-instrumentation", CONTRIB_RELEASE, ("gevent",), makes_spans=False),
    Package("opentelemetry-distro", CONTRIB_RELEASE, makes_spans=False),
    Package("opentelemetry-util-http", CONTRIB_RELEASE, (f"opentelemetry-instrumentation=={CONTRIB_RELEASE}",)),
    Package("opentelemetry-processor-baggage", CONTRIB_RELEASE),
    Package("opentelemetry-exporter-richconsole", CONTRIB_RELEASE),
    Package("opentelemetry-exporter-prometheus-remote-write", CONTRIB_RELEASE, makes_spans=False),
    Package(
        "opentelemetry-exporter-credential-provider-gcp",
        CONTRIB_RELEASE,
        (f"opentelemetry-exporter-otlp-proto-grpc=={SDK}", f"opentelemetry-exporter-otlp-proto-http=={SDK}"),
        makes_spans=False,
    ),
    Package("opentelemetry-resource-detector-azure", "0.3.0", makes_spans=False),
    Package("opentelemetry-resource-detector-containerid", CONTRIB_RELEASE, makes_spans=False),
    Package("opentelemetry-resourcedetector-gcp", "1.14.0", ("syrupy",), makes_spans=False),
    Package("opentelemetry-sdk-extension-aws", "2.1.0", makes_spans=False),
    Package("opentelemetry-instrumentation-elasticsearch", "0.64b0", ("elasticsearch-dsl",)),
)

CORE: Final = (
    _core("opentelemetry-api", f"opentelemetry-propagator-b3=={SDK}", makes_spans=False),
    _core("opentelemetry-sdk", "psutil", "flaky", f"opentelemetry-propagator-b3=={SDK}"),
    _core("opentelemetry-semantic-conventions", version=CONTRIB_RELEASE, makes_spans=False),
    _core("opentelemetry-test-utils", version=CONTRIB_RELEASE),
    _core("opentelemetry-configuration", "pyyaml", version=CONTRIB_RELEASE, makes_spans=False),
    _core("opentelemetry-opentracing-shim", version=CONTRIB_RELEASE),
    _core("opentelemetry-exporter-http-transport", "mocket", "requests", "urllib3", version=CONTRIB_RELEASE, makes_spans=False),
    _core("opentelemetry-exporter-opencensus", version=CONTRIB_RELEASE, makes_spans=False, alone=True),
    _core("opentelemetry-exporter-otlp", makes_spans=False),
    _core(
        "opentelemetry-exporter-otlp-common",
        *(f"opentelemetry-exporter-http-transport=={CONTRIB_RELEASE}", "requests", "urllib3"),
        version=CONTRIB_RELEASE,
        makes_spans=False,
    ),
    _core(
        "opentelemetry-exporter-otlp-json-common",
        f"opentelemetry-exporter-otlp-proto-common=={SDK}",
        version=CONTRIB_RELEASE,
        makes_spans=False,
    ),
    _core("opentelemetry-exporter-otlp-json-file", version=CONTRIB_RELEASE),
    _core("opentelemetry-exporter-otlp-json-http", "mocket", "urllib3", version=CONTRIB_RELEASE),
    _core("opentelemetry-exporter-otlp-proto-common"),
    _core("opentelemetry-exporter-otlp-proto-grpc", alone=True),
    _core("opentelemetry-exporter-otlp-proto-http", "mocket", "requests", "urllib3"),
    _core("opentelemetry-exporter-prometheus", version=CONTRIB_RELEASE, makes_spans=False),
    _core("opentelemetry-exporter-zipkin", makes_spans=False),
    _core("opentelemetry-exporter-zipkin-json"),
    _core("opentelemetry-exporter-zipkin-proto-http"),
    _core("opentelemetry-propagator-b3"),
    _core("opentelemetry-propagator-jaeger"),
    _core("opentelemetry-propagator-aws-xray", "requests", "pytest-benchmark", version="1.0.2", makes_spans=False),
    _core("opentelemetry-propagator-ot-trace", version=CONTRIB_RELEASE, makes_spans=False),
    _core("opentelemetry-propagator-gcp", version="1.15.0", makes_spans=False),
    _core("opentelemetry-exporter-gcp-trace", version="1.15.0", makes_spans=False),
)

GENAI: Final = (
    _genai("opentelemetry-util-genai", "fsspec"),
    _genai("opentelemetry-instrumentation-genai-agno", "fastapi"),
    _genai("opentelemetry-instrumentation-genai-anthropic", "httpx", "httpx2"),
    _genai("opentelemetry-instrumentation-genai-bedrock", "aiobotocore~=3.9"),
    _genai("opentelemetry-instrumentation-genai-dspy", "numpy"),
    _genai(
        "opentelemetry-instrumentation-genai-langchain",
        *("langchain-openai", "langchain-aws", "langchain-google-genai", "langchain-anthropic", "boto3", "langchain-classic"),
        *(_of("httpx"), "opentelemetry-instrumentation-genai-openai[instruments]==1.3b0"),
    ),
    _genai(
        "opentelemetry-instrumentation-genai-llama-index",
        *("llama-index-llms-openai", "opentelemetry-instrumentation-genai-openai==1.3b0"),
    ),
    _genai("opentelemetry-instrumentation-genai-openai", "httpx", "httpx2", "pydantic"),
    _genai("opentelemetry-instrumentation-genai-openai-agents"),
    _genai("opentelemetry-instrumentation-genai-portkey", "httpx"),
    _genai("opentelemetry-instrumentation-genai-qwen-agent", "numpy", "soundfile", "python-dateutil", "tqdm"),
    _genai("opentelemetry-instrumentation-genai-qwenpaw", "mcp<2"),
    _genai("opentelemetry-instrumentation-genai-smolagents", "smolagents[openai]", "pillow", version="1.2b0"),
    _genai("opentelemetry-instrumentation-google-genai", "opentelemetry-util-genai[upload]", "mcp", "pyyaml"),
    _genai("opentelemetry-instrumentation-openai-v2", "openai<3", "pyyaml", "httpx", version="2.4b0", util="0.4b0"),
)

PACKAGES: Final = {package.name: package for package in (*CORE, *CONTRIB, *GENAI)}


def named(name: str) -> Package:
    """Return the package of that name; "flask" stands for opentelemetry-instrumentation-flask.

    Raises: KeyError.
    """
    return PACKAGES[name] if name in PACKAGES else PACKAGES[INSTRUMENTATION + name]
