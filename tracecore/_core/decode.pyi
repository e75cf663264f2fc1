from collections.abc import Callable
from typing import Any

def bind(
    readable_span: type, event: type, kept: Callable[..., Any], attributes_kept: Callable[..., Any]
) -> None: ...
