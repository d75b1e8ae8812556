"""The readers of advisories, by their form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from federation.domain.formats.advisory import Finding
from federation.domain.formats.csaf import read_csaf
from federation.domain.formats.cve import read_cve
from federation.domain.formats.osv import read_osv

Format = Literal["cve", "osv", "csaf"]
READERS: dict[str, Callable[[bytes], tuple[Finding, ...]]] = {
    "cve": read_cve,
    "osv": read_osv,
    "csaf": read_csaf,
}
"""Reads one advisory; raises Invalid that names the member at fault."""
