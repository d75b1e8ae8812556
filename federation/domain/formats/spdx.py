"""Licences by the identifiers and expressions of SPDX (2.3, annex D)."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from license_expression import Licensing, get_spdx_licensing

from federation.domain.messages import Message


@cache
def _spdx() -> Licensing:
    return get_spdx_licensing()


@cache
def _names() -> frozenset[str]:
    symbols = _spdx().known_symbols
    return frozenset(symbols) | {alias for symbol in symbols.values() for alias in symbol.aliases}


@cache
def _forms() -> dict[str, str]:
    """The names of the list by their small letters; without the references that the library adds."""
    names = {name for name in _names() - _CASUAL if not name.startswith("LicenseRef-")}
    return {name.lower(): name for name in sorted(names | _WITH_EXCEPTION | _OWN)}


_CASUAL = frozenset({"GPL", "BSD-2"})
"""Names that the library takes and the list does not have."""
_WITH_EXCEPTION = frozenset(
    {
        "GPL-2.0-with-autoconf-exception", "GPL-2.0-with-bison-exception", "GPL-2.0-with-classpath-exception",
        "GPL-2.0-with-font-exception", "GPL-2.0-with-GCC-exception", "GPL-3.0-with-autoconf-exception",
        "GPL-3.0-with-GCC-exception", "eCos-2.0", "MPL-2.0-no-copyleft-exception",
    }
)  # fmt: skip
"""Licences of the list that the library takes for exceptions, or does not have."""
_OWN = frozenset({"LicenseRef-proprietary", "LicenseRef-unknown"})
"""References that this project gives a meaning."""
_OPERATORS = frozenset({"AND", "OR", "WITH"})


@lru_cache(maxsize=4_096)
def listed_licence(expression: str) -> str:
    """The expression with its identifiers as the SPDX list writes them: they have no case (SPDX 2.3, D.2).

    What is not on the list, and references of an author's own, stay as they are.
    """
    return re.sub(r"[A-Za-z0-9.+:-]+", _listed, expression)


_GNU = re.compile(
    r"(?<![A-Za-z0-9.+-])([AL]?GPL-[123]\.[01]|GFDL-1\.[123])(-only|-or-later|[+]?)(?![A-Za-z0-9.+-])"
)
_PRESENT_ENDINGS = {"": "-only", "+": "-or-later"}
_DEPRECATED_ENDINGS = {ending: deprecated for deprecated, ending in _PRESENT_ENDINGS.items()}


def same_licences(expression: str) -> tuple[str, str, str]:
    """The expression as it is, and with present and deprecated identifiers of the licences of GNU.

    ``GPL-3.0`` is ``GPL-3.0-only``, and ``GPL-3.0+`` is ``GPL-3.0-or-later`` (SPDX list, since 3.0).
    """
    present = _GNU.sub(lambda match: match[1] + _PRESENT_ENDINGS.get(match[2], match[2]), expression)
    deprecated = _GNU.sub(lambda match: match[1] + _DEPRECATED_ENDINGS.get(match[2], match[2]), expression)
    return expression, present, deprecated


def _listed(match: re.Match[str]) -> str:
    name, forms = match[0], _forms()
    if name in _OPERATORS:
        return name
    if name.endswith("+") and name.lower() not in forms:  # `+` may follow any licence (annex D)
        return f"{forms.get(name[:-1].lower(), name[:-1])}+"
    return forms.get(name.lower(), name)


_NOT_LISTED = (
    "{names} is not a licence of the SPDX list; write LicenseRef- and a name of your own for another one"
)


def licence_problem(expression: str) -> Message | None:
    """Why this is no SPDX licence expression; None if it is one (SPDX 2.3, annex D).

    ``license_expression.validate()`` raises AttributeError on "N/A" and on comma lists, so the shape
    is checked first and the library only parses what has it.
    """
    expression = listed_licence(expression)
    if not re.fullmatch(r"\(*[A-Za-z0-9.+:-]+\)*( (AND|OR|WITH) \(*[A-Za-z0-9.+:-]+\)*)*", expression):
        return Message(
            "{expression!r} is not an SPDX licence expression: licences of the list, such as"
            " AGPL-3.0-or-later, with AND, OR or WITH in capital letters between them",
            {"expression": expression},
        )
    own = re.sub(r"\b(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+", "MIT", expression)
    own = re.sub(r"[A-Za-z0-9.-]+", lambda m: "MIT" if m[0] in _WITH_EXCEPTION else m[0], own)
    # `+` may follow any licence (annex D); the library knows it of those that have an -or-later only.
    own = re.sub(r"[A-Za-z0-9.-]+\+", lambda m: m[0] if m[0] in _names() else m[0][:-1], own)
    if casual := {name for name in re.findall(r"[A-Za-z0-9.+-]+", own) if name.upper() in _CASUAL}:
        return Message(_NOT_LISTED, {"names": ", ".join(sorted(casual))})
    try:
        unknown = _spdx().unknown_license_keys(_spdx().parse(own, strict=True))
    except Exception as error:  # the library raises several unrelated classes for one cause
        return Message(
            "{expression!r} is not an SPDX licence expression: {error}",
            {"expression": expression, "error": str(error)},
        )
    return Message(_NOT_LISTED, {"names": ", ".join(unknown)}) if unknown else None
