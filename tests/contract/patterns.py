"""Compile every published pattern as RE2 and, where Node.js is there, as ECMA-262 with the flag ``u``.

``make check`` runs it as a program: it prints the patterns that some language cannot read.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import re2

SCHEMAS = Path(__file__).parents[2] / "schemas"
_PROGRAM = """
const faults = [];
for (const pattern of JSON.parse(require('fs').readFileSync(0, 'utf8'))) {
  try { new RegExp(pattern, 'u') } catch (error) { faults.push(`${pattern}: ${error.message}`) }
}
console.log(JSON.stringify(faults));
"""
NODE_SECONDS = 60


def schemas_in(value: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every JSON object of a document, with its pointer; examples left out."""
    if isinstance(value, dict):
        yield at, value
        for name, inner in value.items():
            if name not in ("example", "examples", "default"):
                yield from schemas_in(inner, f"{at}/{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from schemas_in(inner, f"{at}/{index}")


def published() -> dict[str, Any]:
    """The published JSON files, by name."""
    return {path.name: msgspec.json.decode(path.read_bytes()) for path in sorted(SCHEMAS.glob("*.json"))}


def patterns() -> list[str]:
    """Every published pattern, once."""
    found = {
        schema["pattern"]
        for document in published().values()
        for _, schema in schemas_in(document)
        if isinstance(schema.get("pattern"), str)
    }
    return sorted(found)


def refused_by_re2(listed: list[str]) -> list[str]:
    """The patterns that RE2 cannot read, with its reasons."""
    options = re2.Options()
    options.log_errors = False
    faults = []
    for pattern in listed:
        try:
            re2.compile(pattern, options)
        except re2.error as error:
            faults.append(f"{pattern}: RE2: {error}")
    return faults


def refused_by_ecma_262(listed: list[str]) -> list[str] | None:
    """The patterns that ECMA-262 cannot read, with its reasons; None without Node.js."""
    node = shutil.which("node")
    if node is None:
        return None
    run = subprocess.run(
        [node, "-e", _PROGRAM],
        input=msgspec.json.encode(listed),
        capture_output=True,
        timeout=NODE_SECONDS,
        check=True,
    )
    faults: list[str] = msgspec.json.decode(run.stdout)
    return faults


def main() -> int:
    listed = patterns()
    ecma = refused_by_ecma_262(listed)
    if ecma is None:
        print("Node.js is not installed: patterns are compiled by RE2 alone", file=sys.stderr)
    faults = [*refused_by_re2(listed), *(ecma or ())]
    for fault in faults:
        print(fault)
    return 1 if faults or not listed else 0


if __name__ == "__main__":
    sys.exit(main())
