"""The part of the documentation about a client: its command, its options, and a part of its tested story."""

from __future__ import annotations

import re

from tests.clients.catalogue import Client

_SHOWN = re.compile(r"^(?:#|//) docs: begin\n+(.*?)\n+(?:#|//) docs: end$", re.MULTILINE | re.DOTALL)
_LANGUAGES = {".py": "python", ".ts": "typescript", ".go": "go"}


def page_of(client: Client) -> str:
    """The section of a client in ``docs/how-to/generate-a-client.md``."""
    parts = [f"```console\n$ {command(client)}\n```"]
    if client.options:
        rows = [f"| `{option}` | {reason} |" for option, reason in client.options]
        parts.append("\n".join(["| option | reason |", "| --- | --- |", *rows]))
    parts.append(f"```{_LANGUAGES[client.source.suffix]}\n{shown(client)}\n```")
    return "\n\n".join(parts)


def command(client: Client) -> str:
    """The command that generates a client, in lines of bearable length."""
    program, *rest = client.generate
    program = f"npx {program}" if client.family == "typescript" and "java" not in client.needs else program
    text = " ".join([program, *rest])
    return text if len(text) <= 100 else text.replace(" --", " \\\n    --")


def shown(client: Client) -> str:
    """The part of a story that is between its two marks."""
    found = _SHOWN.search(client.source.read_text())
    if found is None:
        raise ValueError(f"{client.story} has no part between `docs: begin` and `docs: end`")
    return found[1]
