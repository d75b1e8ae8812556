"""Deployments from the lines of a sheet: one for each line, or for the lines with one key.

The key is the file's own; without one it is made of the solution and the body, which name a deployment as
long as a body has one of each. Lines with one key and different bodies are one deployment for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from federation.domain.formats.sheets import choices
from federation.domain.formats.sheets.beneficiaries import BodiesOfLine, read_bodies
from federation.domain.formats.sheets.days import read_day, read_moment
from federation.domain.formats.sheets.lines import Line
from federation.domain.formats.sheets.numbers import read_count
from federation.domain.formats.sheets.records import LineRecord, SolutionFinder, body_of, label_of, without
from federation.domain.formats.sheets.values import (
    ROLLING_VERSION,
    UNKNOWN_VERSION,
    CellProblem,
    key_of,
    read_choice,
    read_country,
    read_key,
    read_line,
    read_territories,
    read_text,
    read_url,
    read_version,
)
from federation.domain.messages import Message

_VERSION_STATES = {UNKNOWN_VERSION: "unknown", ROLLING_VERSION: "rolling"}


def build_deployment(line: Line, finder: SolutionFinder) -> LineRecord | None:
    """The deployment of a line; None where the line is at fault."""
    content: dict[str, Any] = {}
    solution = line.need("solution", line.read("solution", finder.find))
    coverage, label = read_coverage(line)
    if coverage is None and line.is_sound:
        line.fail(
            Message(
                "the line names no public body and no territory: a SIREN, a SIRET or an INSEE code is needed"
            )
        )
    status = line.read("status", lambda cell: read_choice(cell, choices.DEPLOYMENT_STATUSES))
    tenancy = line.read("tenancy", lambda cell: read_choice(cell, choices.TENANCIES))
    hosting = _hosting(line)
    _version(line, content)
    for member, reader in (
        ("since", read_day),
        ("until", read_day),
        ("url", read_url),
        ("support", read_text),
    ):
        value = line.read(member, reader)
        if value is not None:
            content[member] = value
    environment = line.read("environment", lambda cell: read_choice(cell, choices.ENVIRONMENTS))
    if environment is not None:
        content["environment"] = environment
    own_key = line.read("key", read_key)
    if not line.is_sound or solution is None or coverage is None:
        return None
    content |= {"solution": solution, "coverage": coverage, "hosting": hosting}
    line.default(content, "status", status, "production")
    several = coverage["kind"] != "list" or len(coverage["beneficiaries"]) > 1
    line.default(content, "tenancy", tenancy, "shared" if several else "dedicated")
    suffix = f"-{environment}" if environment not in (None, "production") else ""
    key = own_key or key_of(f"{solution.partition('/')[2]}-{label}{suffix}")
    identity = read_line(line.cells["key"]) if own_key else key
    return LineRecord(
        line=line,
        key=key,
        identity=identity,
        content=content,
        has_own_key=own_key is not None,
        merge=merge_bodies,
        counted=counted_bodies(coverage),
    )


def _hosting(line: Line) -> dict[str, Any]:
    hosting: dict[str, Any] = {}
    model = line.read("hosting", lambda cell: read_choice(cell, choices.HOSTING_MODELS))
    if model is None:
        line.notes.append("hosting/model")
    hosting["model"] = model or "operator"
    provider = line.read("hosting_provider", read_line)
    country = line.read("hosting_country", read_country)
    return hosting | {name: value for name, value in (("provider", provider), ("country", country)) if value}


def _version(line: Line, content: dict[str, Any]) -> None:
    version = line.read("version", read_version)
    if version in _VERSION_STATES:
        content["version_state"] = _VERSION_STATES[version]
    elif version is not None:
        content["version"] = version
    as_of = line.read("version_as_of", read_moment)
    if as_of is not None:
        content["version_as_of"] = as_of


def read_coverage(line: Line) -> tuple[dict[str, Any] | None, str]:
    """The bodies of a line, and a text that stands for them in a key: no coverage where it names none."""
    found: BodiesOfLine | None = None
    try:
        found = read_bodies(line.cells)
    except CellProblem as problem:
        line.fail(problem.message, "coverage")
    territories = line.read("territory", read_territories)
    count = line.read("count", read_count)
    if found is not None:
        line.notes += found.notes
        organisations = list(found.organisations)
        label = label_of(organisations[0])
        if len(organisations) > 1:
            label = f"{len(organisations)}-{label}"
        return {"kind": "list", "beneficiaries": organisations}, label
    if territories:
        return {"kind": "territory", "territory": territories}, "-".join(territories)
    if count is not None:
        return {"kind": "count", "count": count}, "all"
    return None, ""


def counted_bodies(
    coverage: dict[str, Any] | None, units: Iterable[str] = ("",)
) -> set[tuple[int | str, str]]:
    """The bodies of a coverage, each with each unit."""
    if coverage is None or coverage["kind"] != "list":
        return set()
    return {(body_of(body), unit) for body in coverage["beneficiaries"] for unit in units}


def merge_bodies(first: LineRecord, second: LineRecord) -> bool:
    """Add the bodies of a second line; False where the lines differ otherwise, or have a body in common."""
    coverages = (first.content["coverage"], second.content["coverage"])
    if any(coverage["kind"] != "list" for coverage in coverages) or first.counted & second.counted:
        return False
    apart = ("coverage", "tenancy")
    if without(first.content, *apart) != without(second.content, *apart):
        return False
    coverages[0]["beneficiaries"] += coverages[1]["beneficiaries"]
    first.counted |= second.counted
    if "tenancy" in first.line.notes:
        first.content["tenancy"] = "shared"
    return "tenancy" in first.line.notes or first.content["tenancy"] == second.content["tenancy"]
