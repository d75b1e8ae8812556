"""Answers of other machines: refusals, waiting times and failures, in bounded text."""

from __future__ import annotations

import re

import msgspec

from federation.domain.feed import printable
from federation.domain.messages import Message


def read_problem(body: bytes) -> tuple[str, str]:
    """Code and detail of a refusal (RFC 9457), or of RFC 6749; empty when it is none."""
    try:
        problem = msgspec.json.decode(body)
        # (The code is a member of its own, and the end of the type, which is a URN or a URL.)
        code = str(problem.get("code") or re.split("[:/]", problem.get("type", ""))[-1])
        return code, printable(str(problem.get("detail", problem.get("error", ""))), 300)
    except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError, TypeError, RecursionError):
        return "", ""


def retry_after(after: str) -> float | None:
    """``Retry-After`` in seconds; None for what is none."""
    return float(after) if after.isascii() and after.isdigit() and len(after) < 6 else None


def error_message(error: Exception) -> Message | str:
    """The message of an error, in the languages that it has; else :func:`error_text`."""
    message = getattr(error, "message", None)
    return message if isinstance(message, Message) else error_text(error)


def error_text(error: Exception) -> str:
    """The message of an error, or its type when it has none; at most 400 characters."""
    return (str(error) or type(error).__name__)[:400]
