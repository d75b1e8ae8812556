"""Names of the Common Platform Enumeration: formatted strings (2.3) and URIs (2.2), NISTIR 7695."""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec

MAX_CPE_CHARACTERS = 1_000
"""Characters of a CPE name, at most: a longer one names no product."""
_ANY = frozenset({"", "*"})
_NOT_APPLICABLE = "-"
_WHOLE = re.compile(r"((?:[^\\:]|\\.)*)(?::|$)")


class Cpe(msgspec.Struct, frozen=True):
    """A CPE name: the attributes that tell a product and its version, unescaped, in small letters."""

    part: str
    """``a`` for an application, ``o`` for an operating system, ``h`` for hardware."""
    vendor: str
    product: str
    version: str
    """``*`` for any, ``-`` for none."""
    update: str

    @property
    def identity(self) -> str | None:
        """The product without its version, ``cpe:VENDOR:PRODUCT``; None for a name that any product has."""
        if {self.vendor, self.product} & (_ANY | {_NOT_APPLICABLE}):
            return None
        return f"cpe:{self.vendor}:{self.product}"


def parse_cpe(name: str) -> Cpe | None:
    """The product that a CPE name names; None for a text that is no CPE name."""
    text = name.strip().lower()
    if len(text) > MAX_CPE_CHARACTERS:
        return None
    if text.startswith("cpe:2.3:"):
        raw = _WHOLE.findall(text.removeprefix("cpe:2.3:"))
        parts = [re.sub(r"\\(.)", r"\1", part) for part in raw]
    elif text.startswith("cpe:/"):
        parts = [unquote(part) for part in text.removeprefix("cpe:/").split(":")]
    else:
        return None
    if len(parts) < 3:
        return None
    part, vendor, product, version, update = (*parts, "*", "*")[:5]
    return Cpe(part, vendor, product, version or "*", update or "*")


def identity_of(name: str) -> str | None:
    """The product of a CPE name without its version; None for a text that names no product."""
    cpe = parse_cpe(name)
    return cpe.identity if cpe else None
