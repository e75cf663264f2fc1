# Made by cffi from _reader_build.py: C objects, which have no Python types.

from typing import Any

ffi: Any
lib: Any
