"""Substitution: ``${VAR}`` in a scalar of a configuration file becomes what the environment holds.

    ${VAR}  ${env:VAR}        the variable; nothing where it is not set
    ${VAR:-text}              "text" where it is not set or empty
    $$                        a dollar sign, and no reference begins with it

What comes in is never looked at again: a value that reads ``${OTHER}`` stays that text.  A reference that is none
of these forms is an error, so that a slip of the pen does not go out as the name of a service.

Source: specification, configuration/data-model.md "Environment variable substitution".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["WrongReference", "substitute"]

_REFERENCE: Final = re.compile(r"\$\{([^}]*)\}")
_ENV_SUBSTITUTION: Final = re.compile(r"(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^\n]*))?", re.ASCII)


class WrongReference(ValueError):
    """A reference that is not of the specification's form; `reference` is its text."""

    def __init__(self, reference: str) -> None:
        super().__init__(reference)
        self.reference = reference


def substitute(text: str, environment: Mapping[str, str]) -> str:
    """Return `text` with its references replaced.  Raises: WrongReference."""

    def value_of(reference: re.Match[str]) -> str:
        form = _ENV_SUBSTITUTION.fullmatch(reference[1])
        if form is None:
            raise WrongReference(reference[0])
        return environment.get(form[1]) or form[2] or ""

    # Cut at the escapes first: a reference reaches from one to the next at most.
    return "$".join(_REFERENCE.sub(value_of, part) for part in text.split("$$"))
