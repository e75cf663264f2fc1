"""The table of extension modules and the C units each is made of.

A unit with state of its own (ids) is linked into exactly one module; the others keep their state in
what the caller passes and may stand in several. tracecore._reader, which is no Cython module, is
made by tracecore/_reader_build.py.

Switches, all from the environment:
    TRACECORE_SANITIZE=address|thread   build with that sanitizer (address includes undefined)
    TRACECORE_DEBUG=1                   asserts, no optimisation, Cython line tracing
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

UNITS = {
    "values": ["base", "strings", "record"],
    "span_context": [],
    "ids": ["ids"],
    "origin": ["strings", "record", "pb", "otlp", "batch", "ring"],
    "decode": ["record"],
    "batch": ["base", "clock", "strings", "record", "ring", "batch", "pb", "otlp", "json", "otlp_json", "wake"],
    "workplace": ["clock", "wake"],
    "queue": ["clock", "strings", "record", "ring", "batch", "wake"],
    "backlog": ["clock", "wake"],
    "account": ["clock", "wake"],
    "recorder": [],
    "annotations": ["record"],
    "class_of_spans": [],
    "span": ["clock", "record"],
    "measured_span": ["clock", "record"],
    "span_metrics": ["strings", "record", "ring", "batch", "histogram", "span_metrics"],
    "foreign": [],
    "tracer": ["clock", "record"],
    "patterns": ["base", "strings", "program", "regex", "match", "hmac"],
    "redact": [
        "base", "strings", "record", "ring", "batch", "pb", "program", "regex", "match", "hmac", "redact",
    ],
    "fold": ["base", "clock", "strings", "record", "ring", "batch", "program", "regex", "match", "fold"],
    "baggage": ["base", "strings", "record", "ring", "batch", "program", "regex", "match", "baggage"],
    "drop": ["base", "strings", "record", "ring", "batch", "program", "regex", "match", "drop"],
    "adopt": ["record"],
}

SANITIZE = os.environ.get("TRACECORE_SANITIZE", "")
DEBUG = os.environ.get("TRACECORE_DEBUG", "") == "1"

# -fno-plt: calls into a shared libpython cost 4 % fewer instructions a span.
compile_args = ["-std=c11", "-O3", "-fvisibility=hidden", "-fno-plt"]
link_args = []
macros = []
if SANITIZE:
    flag = {"address": "-fsanitize=address,undefined", "thread": "-fsanitize=thread"}[SANITIZE]
    compile_args += [flag, "-g", "-O1", "-fno-omit-frame-pointer"]
    link_args += [flag]
if DEBUG:
    compile_args += ["-UNDEBUG", "-g", "-O0"]
    macros += [("CYTHON_TRACE", "1"), ("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_REFNANNY", "0")]

extensions = [
    Extension(
        f"tracecore._core.{module}",
        [f"tracecore/_core/{module}.pyx", *(f"csrc/tc_{unit}.c" for unit in units)],
        include_dirs=["csrc"],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
        define_macros=macros,
        libraries=["m"],
    )
    for module, units in UNITS.items()
]

setup(
    cffi_modules=["tracecore/_reader_build.py:ffi"],
    ext_modules=cythonize(
        extensions,
        compiler_directives={
            "language_level": "3",
            "embedsignature": True,
            "boundscheck": False,
            "wraparound": False,
            "linetrace": DEBUG,
        },
        build_dir="build/cython",
    ),
)
