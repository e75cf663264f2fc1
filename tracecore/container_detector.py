"""ContainerResourceDetector: container.id of the container that the process runs in, on Linux.

Version 1 control groups show it to the process in /proc/self/cgroup, version 2 only where the runtime mounts
files of the container from its own directory, in /proc/self/mountinfo. Nothing is asked over a socket.

Source: semantic conventions, resource/container.md.
"""

from __future__ import annotations

import re
from typing import Final

from tracecore.resource import Resource, ResourceDetector

__all__ = ["ContainerResourceDetector"]

_CGROUP: Final = re.compile(r"(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?$")
"""The last part of a group's path: the id, or what systemd makes of it (docker-<id>.scope, cri-containerd-<id>.scope)."""
_MOUNT: Final = re.compile(r"/containers/(?:[\w-]+/)?([0-9a-f]{64})/")


class ContainerResourceDetector(ResourceDetector):
    """container.id, or nothing outside a container."""

    def __init__(self, raise_on_error: bool = False, *, proc: str = "/proc/self") -> None:
        super().__init__(raise_on_error)
        self._proc = proc

    def detect(self) -> Resource:
        for file, pattern in (("cgroup", _CGROUP), ("mountinfo", _MOUNT)):
            try:
                with open(f"{self._proc}/{file}", encoding="utf-8", errors="replace") as lines:
                    found = next((match[1] for line in lines if (match := pattern.search(line.rstrip("\n")))), None)
            except OSError:  # no /proc here, or it is hidden
                continue
            if found is not None:
                return Resource({"container.id": found})
        return Resource({})
