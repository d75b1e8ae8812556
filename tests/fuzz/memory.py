"""The memory of a process that reads many inputs, and its bounds."""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

MAX_PEAK_MEBIBYTES = 512
"""Memory that the process may have at any moment: the inputs are small, and large tables are refused."""
MAX_GROWTH_MEBIBYTES = 32
"""Memory that may come after the first tenth of the inputs: caches that fill, gaps of the allocator. A reader
that keeps a kilobyte of each input passes it within 33 000 inputs."""
_STATM = Path("/proc/self/statm")


def peak_mebibytes() -> int:
    """The most memory that the process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1_048_576 if sys.platform == "darwin" else peak // 1024  # (bytes there, KiB elsewhere)


def resident_mebibytes() -> int:
    """The memory that the process has now; its peak, where the system has no such figure (macOS)."""
    gc.collect()
    if not _STATM.exists():
        return peak_mebibytes()
    return int(_STATM.read_text().split()[1]) * resource.getpagesize() // 1_048_576


def violations(resident: Sequence[int], peak: int) -> list[str]:
    """Sentences about a peak above its bound, and about memory that grows after the first measurement."""
    found = []
    if peak > MAX_PEAK_MEBIBYTES:
        found.append(f"memory was {peak} MiB, and {MAX_PEAK_MEBIBYTES} are the bound")
    growth = resident[-1] - resident[0]
    if growth > MAX_GROWTH_MEBIBYTES:
        found.append(f"memory grew by {growth} MiB, and {MAX_GROWTH_MEBIBYTES} are the bound")
    return found
