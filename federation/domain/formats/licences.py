"""Licences as people write them, as SPDX expressions (SPDX 2.3, annex D).

The expression of the list is taken in any case. Else the words of each licence are brought into its form
(``GPL v3`` is ``GPL-3.0``), and lists of licences become an expression: the text says that there are several,
not whether one may choose, so a comma or a slash is ``OR``. What is none then is ``LicenseRef-unknown``.
"""

from __future__ import annotations

import re
from functools import lru_cache

from federation.domain.formats.spdx import licence_problem, listed_licence

UNKNOWN = "LicenseRef-unknown"
MAX_LICENCE = 300
"""Characters of a licence that are read."""
MAX_LICENCES = 10
"""Licences of a list, at most."""
_NONE = frozenset({"", "n/a", "na", "none", "null", "other", "unknown", "-", "?", "nolicense", "noassertion"})
_OR = re.compile(r"\s*[,;/|]\s*|\s+(?:or|ou)\s+", re.IGNORECASE)
_AND = re.compile(r"\s+(?:and|et)\s+", re.IGNORECASE)
_SPACES = re.compile(r"[\s_]+")
_VERSION = re.compile(r"-?(?:\bversion|v)[-.]?(?=[0-9])")
_GNU = re.compile(r"(?:gnu-)?([al]?gpl)-?([0-9])(?:\.([0-9]))?(?:\.[0-9])?(\+|-only|-or-later)?")
_WITH_VERSION = re.compile(r"(mpl|epl|eupl|cecill|apache|osl|epl|cc0|artistic)-?([0-9])(?:\.([0-9]))?")
_NAMES = {
    "apache": "Apache-2.0", "bsd": UNKNOWN, "bsd-2": "BSD-2-Clause", "bsd-3": "BSD-3-Clause",
    "new-bsd": "BSD-3-Clause", "mit-license": "MIT", "expat": "MIT", "the-mit-license": "MIT",
    "apache-license-2.0": "Apache-2.0", "licence-ouverte-2.0": "etalab-2.0", "public-domain": UNKNOWN,
    "proprietary": "LicenseRef-proprietary", "proprietaire": "LicenseRef-proprietary",
    "propriétaire": "LicenseRef-proprietary",
}  # fmt: skip
_DEFAULT_MINOR = "0"


@lru_cache(maxsize=4_096)
def read_licence(text: str | None) -> tuple[str, str | None]:
    """The expression of a licence, and a note where it was interpreted or is not known."""
    written = " ".join((text or "").split())
    if written.lower() in _NONE:
        return UNKNOWN, "licence: none is named, taken as unknown"
    if len(written) > MAX_LICENCE:
        return UNKNOWN, "licence: it is too long, taken as unknown"
    if licence_problem(written) is None:
        return listed_licence(written), None
    expression = _expression(written)
    if expression is None or len(expression) > MAX_LICENCE or licence_problem(expression) is not None:
        return UNKNOWN, f"licence: {written[:80]!r} is not of the SPDX list, taken as unknown"
    expression = listed_licence(expression)
    return expression, f"licence: {written[:80]!r} was read as {expression}"


def _expression(written: str) -> str | None:
    """The licences of a text as an expression; None where one of them is not known."""
    choices = _OR.split(written)
    if len(choices) > MAX_LICENCES:
        return None
    parts = []
    for choice in choices:
        together = [_single(part) for part in _AND.split(choice)]
        if None in together or len(together) > MAX_LICENCES:
            return None
        joined = " AND ".join(part for part in together if part)
        parts.append(f"({joined})" if len(together) > 1 and len(choices) > 1 else joined)
    return " OR ".join(dict.fromkeys(parts))


def _single(written: str) -> str | None:
    """One licence in the form of the list; None for one that is not known."""
    if licence_problem(written) is None:
        return listed_licence(written)
    name = _VERSION.sub("-", _SPACES.sub("-", written.strip().lower())).strip("-")
    if (known := _NAMES.get(name)) is not None:
        return known if known != UNKNOWN else None
    if match := _GNU.fullmatch(name):
        minor = match[3] or _DEFAULT_MINOR
        ending = {"+": "-or-later", None: ""}.get(match[4], match[4])
        name = f"{match[1]}-{match[2]}.{minor}{ending}"
    elif match := _WITH_VERSION.fullmatch(name):
        name = f"{match[1]}-{match[2]}.{match[3] or _DEFAULT_MINOR}"
    name = listed_licence(name)
    return name if licence_problem(name) is None else None
