"""Answers of other machines: refusals, waiting times and failures, in bounded text."""

from __future__ import annotations

import msgspec

from federation.domain.feed import printable


def read_problem(body: bytes) -> tuple[str, str]:
    """Code and detail of a refusal (RFC 9457), or of RFC 6749; empty when it is none."""
    try:
        problem = msgspec.json.decode(body)
        code = str(problem.get("code") or problem.get("type", "").rpartition(":")[2])
        return code, printable(str(problem.get("detail", problem.get("error", ""))), 300)
    except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError, RecursionError):
        return "", ""


def retry_after(after: str) -> float | None:
    """``Retry-After`` in seconds; None for what is none."""
    return float(after) if after.isascii() and after.isdigit() and len(after) < 6 else None


def error_text(error: Exception) -> str:
    """The message of an error, or its type when it has none; at most 400 characters."""
    return (str(error) or type(error).__name__)[:400]
