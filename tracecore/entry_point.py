"""Components of other packages, by the names they have as entry points."""

from __future__ import annotations

from typing import Any

__all__ = ["load_entry_point"]


def load_entry_point(group: str, name: str) -> Any:
    """Return what the first entry point `name` of `group` stands for.

    Raises: LookupError when nothing of that name is installed; whatever loading it raises.
    """
    # Imported here: reading the metadata of all installed packages is slow, and only other packages' names need it.
    from importlib.metadata import entry_points

    found = next(iter(entry_points(group=group, name=name)), None)
    if found is None:
        raise LookupError(f"nothing of that name is built in or installed ({group})")
    return found.load()
