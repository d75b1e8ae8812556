"""Invitations as they are sent, and the codes that two administrators compare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from federation.domain.invitation import Invitation, code
from federation.spec.vectors.samples import ARNIA, SECRET
from federation.spec.vectors.signing import ORIGIN, OTHER, SECOND, STRANGER, b64

MARK = "federation-invitation-1."


def invitation_cases() -> Iterator[dict[str, Any]]:
    """Texts, and what a newcomer reads in them. Verdicts: ``read``, ``refused``."""
    parts = [ARNIA, ORIGIN.kid, SECRET]
    good = str(Invitation(*parts))
    yield _case("as it was sent", good, parts)
    broken = "".join(f"  {good[at : at + 40]}\r\n" for at in range(0, len(good), 40))
    yield _case("broken into lines by a mail program", broken, parts)
    spaced = [ARNIA, ORIGIN.kid, "~" * 22]
    yield _case("with white space in its JSON", MARK + b64(json.dumps(spaced, indent=2).encode()), spaced)
    for name, text in (
        ("nothing", ""),
        ("without its mark", good.removeprefix(MARK)),
        ("with the mark of a later version", good.replace("-1.", "-2.", 1)),
        ("with a mark in capital letters", good.replace("federation", "FEDERATION", 1)),
        ("cut off", good[:-5]),
        ("with a character outside of base64url", good[:60] + "!" + good[60:]),
        ("in base64 that is padded", good + "="),
        ("longer than 4 096 characters", good + "A" * (4_097 - len(good))),
        ("an object", _packed(dict(zip(("url", "thumbprint", "secret"), parts, strict=True)))),
        ("two texts", _packed(parts[:2])),
        ("four texts", _packed([*parts, "more"])),
        ("a number for a secret", _packed([*parts[:2], 1])),
        ("a thumbprint that is too short", _packed([ARNIA, ORIGIN.kid[:-1], SECRET])),
        ("a secret of 21 characters", _packed([*parts[:2], "s" * 21])),
        ("a secret of 257 characters", _packed([*parts[:2], "s" * 257])),
        ("a secret with a line feed", _packed([*parts[:2], SECRET + "\n"])),
    ):
        yield _case(name, text, None)


def _packed(value: object) -> str:
    return MARK + b64(json.dumps(value).encode())


def _case(name: str, text: str, parts: list[str] | None) -> dict[str, Any]:
    if parts is None:
        return {"name": name, "text": text, "verdict": "refused"}
    url, thumbprint, secret = parts
    return {
        "name": name,
        "text": text,
        "verdict": "read",
        "url": url,
        "thumbprint": thumbprint,
        "secret": secret,
    }


def code_cases() -> Iterator[dict[str, Any]]:
    """Thumbprints of two keys, and the code that both sides show."""
    for left, right in ((ORIGIN, OTHER), (OTHER, ORIGIN), (SECOND, STRANGER), (ORIGIN, ORIGIN)):
        yield {"thumbprints": [left.kid, right.kid], "code": code(left.kid, right.kid)}
    yield {"thumbprints": ["a", "b"], "code": "6857 8818 9881 0245"}
