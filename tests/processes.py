"""Processes that tests start and do not collect themselves."""

from __future__ import annotations

import os
import select
import time


def ended(pid: int, within: float = 20) -> bool:
    """Whether the process ends within some seconds; one that only waits to be collected by its parent has ended."""
    if not hasattr(os, "pidfd_open"):  # outside Linux
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within)[0])
    finally:
        os.close(descriptor)
