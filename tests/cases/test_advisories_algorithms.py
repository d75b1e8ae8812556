"""Answers compared with the algorithms of OSV and CVE, written anew here, and hostile advisories.

Ours may be unknown where theirs is affected or not. It is never "not affected" where theirs is affected, and
for dotted numbers in a well-formed advisory it is the same.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from packaging.version import InvalidVersion
from packaging.version import Version as Pep440

from federation.domain.content.incident import Affected
from federation.domain.errors import Invalid
from federation.domain.formats.advisory import Finding
from federation.domain.formats.cve import read_cve
from federation.domain.formats.osv import read_osv
from tests.cases.frames import Order, answers, entries, numbers, osv, product_of_cve

DATA = Path(__file__).parents[3] / "shared" / "data" / "advisories"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared advisories are not beside the project")
UNIVERSE = ["0.1", "0.9", "1", "1.0.1", "1.2", "1.10", "2.0", "2.0.0.5", "2.1", "3", "3.5", "10.0", "11"]
DRAWS = 250


# OSV: https://ossf.github.io/osv-schema/#evaluation

ORDER_AT_ONE_VERSION = ("fixed", "introduced", "last_affected")
"""The order of events at one version, which the schema leaves open."""


def osv_affects(entry: dict[str, Any], version: str, order: Order) -> bool:
    """``IsVulnerable`` for one entry of ``affected``."""
    if any(order(listed) == order(version) for listed in entry.get("versions", ())):
        return True
    return any(_in_osv_range(range_["events"], version, order) for range_ in entry.get("ranges", ()))


def _in_osv_range(listed: list[dict[str, str]], version: str, order: Order) -> bool:
    limits = [event["limit"] for event in listed if "limit" in event]
    if limits and not any(limit == "*" or order(version) < order(limit) for limit in limits):
        return False
    vulnerable = False
    pairs = [pair for event in listed for pair in event.items() if pair[0] != "limit"]
    lowest = order("0")
    pairs.sort(
        key=lambda pair: (lowest if pair[1] == "0" else order(pair[1]), ORDER_AT_ONE_VERSION.index(pair[0]))
    )
    for kind, at in pairs:
        if kind == "introduced":
            vulnerable |= at == "0" or order(version) >= order(at)
        elif kind == "fixed":
            vulnerable &= not order(version) >= order(at)
        else:
            vulnerable &= not order(version) > order(at)
    return vulnerable


def _drawn_osv(chance: random.Random) -> dict[str, Any]:
    ranges = []
    for _ in range(chance.randint(0, 2)):
        pairs = [{"introduced": chance.choice(["0", *UNIVERSE])}]
        for _ in range(chance.randint(0, 4)):
            pairs.append({chance.choice(["introduced", "fixed", "last_affected"]): chance.choice(UNIVERSE)})
        if chance.random() < 0.2:
            pairs.append({"limit": chance.choice(["*", *UNIVERSE])})
        chance.shuffle(pairs)
        ranges.append({"type": "ECOSYSTEM", "events": pairs})
    versions = chance.sample(UNIVERSE, chance.randint(0, 3))
    ecosystem = chance.choice(["PyPI", "Packagist", "Maven", "", "NuGet"])
    return {"package": {"name": "x", "ecosystem": ecosystem}, "ranges": ranges, "versions": versions}


def is_within(names: Iterable[str], version: str) -> bool:
    """True where a name of one or two numbers may be a series that the version is of."""
    return any(name and name.count(".") <= 1 and version.startswith(f"{name}.") for name in names)


def test_answers_are_those_of_the_osv_algorithm() -> None:
    chance = random.Random(17)
    seen = {"affected": 0, "not_affected": 0, "unknown": 0}
    for _ in range(DRAWS):
        entry = _drawn_osv(chance)
        versions = chance.sample(UNIVERSE, 6)
        finding = osv(entry)
        is_text = any(product.texts for product in finding.products)
        for version, verdict in zip(versions, answers(finding, *versions), strict=True):
            affects = osv_affects(entry, version, numbers)
            ends = (
                event.get("last_affected", "") for range_ in entry["ranges"] for event in range_["events"]
            )
            # Where a list without an ecosystem has 2.0, 2.0.5 is a question.
            is_coarse = not entry["package"]["ecosystem"] and is_within((*entry["versions"], *ends), version)
            assert verdict == ("affected" if affects else "not_affected") or (
                (is_text or (is_coarse and not affects)) and verdict == "unknown"
            ), (
                entry,
                version,
                verdict,
            )
            seen[verdict or "unknown"] += 1
            if is_text:
                # Only a range that affects nothing, or an entry without any version, is a text.
                assert not all(
                    any(
                        _in_osv_range(range_["events"], probe, numbers)
                        for probe in [*UNIVERSE, "0.0.1", "99"]
                    )
                    for range_ in entry["ranges"]
                ) or not (entry["ranges"] or entry["versions"])
    assert min(seen.values()) > 20, seen


@needs_data
def test_answers_about_real_osv_advisories_are_those_of_the_algorithm() -> None:
    chance = random.Random(508)
    compared = 0
    for line in (DATA / "osv-pysec-selected.jsonl").read_bytes().splitlines():
        advisory = json.loads(line)
        (finding,) = read_osv(line)
        for entry, product in zip(advisory["affected"], finding.products, strict=True):
            entry["ranges"] = [range_ for range_ in entry.get("ranges", ()) if range_["type"] != "GIT"]
            named = [at for range_ in entry["ranges"] for event in range_["events"] for at in event.values()]
            listed = entry.get("versions", [])
            probes = {*named, *chance.sample(listed, min(4, len(listed))), "0.0.1", "99.0"} - {"0"}
            alone = msgspec.structs.replace(finding, products=(product,))
            entry["versions"] = [version for version in listed if _pep440(version) is not None]
            for version in sorted(probes):
                (verdict,) = answers(alone, version)
                if _pep440(version) is None:
                    assert verdict != "not_affected", (advisory["id"], version)
                    continue
                expected = "affected" if osv_affects(entry, version, Pep440) else "not_affected"
                assert verdict == expected or (product.texts and verdict == "unknown"), (
                    advisory["id"],
                    version,
                )
                compared += 1
    assert compared > 1_500


def _pep440(version: str) -> Pep440 | None:
    try:
        return Pep440(version)
    except InvalidVersion:
        return None


# CVE: docs/versions.md of the schema


def cve_status(affected: dict[str, Any], version: str, order: Order) -> str:
    """The status of a version: that of the first entry that matches it, else the default."""
    for entry in affected["versions"]:
        if _matches(entry, version, order):
            status: str = entry["status"]
            for change in sorted(entry.get("changes", ()), key=lambda change: order(change["at"])):
                if order(change["at"]) <= order(version):
                    status = change["status"]
            return status
    default: str = affected.get("defaultStatus", "unknown")
    return default


def _matches(entry: dict[str, Any], version: str, order: Order) -> bool:
    end = entry.get("lessThan", entry.get("lessThanOrEqual"))
    if end is None:
        return bool(order(entry["version"]) == order(version))
    if entry["version"] != "0" and order(version) < order(entry["version"]):
        return False
    if end == "*":
        return True
    return bool(order(version) < order(end) or ("lessThanOrEqual" in entry and order(version) == order(end)))


def _drawn_cve(chance: random.Random) -> dict[str, Any]:
    statuses = ["affected", "affected", "unaffected", *(["unknown"] if chance.random() < 0.2 else [])]
    versions: list[dict[str, Any]] = []
    for _ in range(chance.randint(1, 4)):
        entry: dict[str, Any] = {"status": chance.choice(statuses)}
        if chance.random() < 0.4:
            entry["version"] = chance.choice(UNIVERSE)
        else:
            low, high = sorted(chance.sample(UNIVERSE, 2), key=numbers)
            entry["version"] = chance.choice([low, low, "0"])
            entry[chance.choice(["lessThan", "lessThanOrEqual"])] = chance.choice([high, high, "*"])
            entry["versionType"] = chance.choice(["custom", "semver", "python"])
            if chance.random() < 0.4:
                entry["changes"] = [
                    {"at": chance.choice(UNIVERSE), "status": chance.choice(statuses)}
                    for _ in range(chance.randint(1, 3))
                ]
        versions.append(entry)
    default = chance.choice([None, "affected", "unaffected", "unaffected", "unknown"])
    return {"versions": versions, **({"defaultStatus": default} if default else {})}


def _has_two_changes_at_once(entry: dict[str, Any]) -> bool:
    places = [numbers(change["at"]) for change in entry.get("changes", ())]
    return len(places) != len(set(places))


def test_answers_are_those_of_the_cve_algorithm() -> None:
    chance = random.Random(71)
    seen = {"affected": 0, "not_affected": 0, "unknown": 0}
    for _ in range(DRAWS):
        affected = _drawn_cve(chance)
        if any(_has_two_changes_at_once(entry) for entry in affected["versions"]):
            continue  # they have no order
        finding = product_of_cve(
            *affected["versions"], **{k: v for k, v in affected.items() if k != "versions"}
        )
        is_complete = not any(product.texts for product in finding.products)
        for version in chance.sample(UNIVERSE, 6):
            verdict = answers(finding, version)[0] or "not_affected"
            status = cve_status(affected, version, numbers)
            where = (affected, version, verdict)
            seen[verdict] += 1
            if status == "affected":
                assert verdict == "affected", where
            elif status == "unaffected":
                named = (
                    entry.get("lessThanOrEqual", "" if "lessThan" in entry else entry["version"])
                    for entry in affected["versions"]
                )
                is_question = not is_complete or is_within(named, version)  # 3 may mean 3.5 as well
                assert verdict == "not_affected" or (verdict == "unknown" and is_question), where
            elif "defaultStatus" in affected or not any(
                "versionType" in entry for entry in affected["versions"]
            ):
                assert verdict == "unknown", where
            if is_complete and "defaultStatus" in affected:
                assert status != "unknown", where
    assert min(seen.values()) > 100, seen


# Hostile advisories

WORDS: list[Any] = [
    "1.0", "2", "2.0-rc1", "v3", "0", "*", "", "6.x", "< 2", "1|2", "!=1", ">=1", "x" * 3_000, "1" * 3_000,
    "٣.١", "1.0\u202e", "\x00", "1.0 to", "vers:npm/1", "é", "1..2", "-", ",", "(((", "1:2:3", "a/b", "git",
    "affected", "unaffected", "unknown", "https://github.com/o/r", "http://[", "pkg:npm/@a/b@1", "pkg:",
    "cpe:2.3:a:b:c:1:*", "cpe:2.3:a\\", "AND", "npm", "Debian:12", "Maven", "GIT", "SEMVER", "1e999", "1.0+b",
    "1.0.0.0.0.0.0.0",
]  # fmt: skip
WRONG: list[Any] = [None, 1, True, [], {}, [[]], {"a": []}]
OSV_MEMBERS: dict[str, str] = {
    "advisory": "affected severity aliases modified withdrawn summary database_specific",
    "affected": "package ranges versions severity ecosystem_specific",
    "package": "name ecosystem purl",
    "ranges": "type repo events",
    "events": "introduced fixed last_affected limit",
    "severity": "type score",
}
"""The members of each object of OSV; those that are no object here are texts, or lists of texts."""
CVE_MEMBERS: dict[str, str] = {
    "advisory": "title affected cpeApplicability descriptions references rejectedReasons",
    "affected": "vendor product packageName collectionURL packageURL repo cpes versions defaultStatus",
    "versions": "version status versionType lessThan lessThanOrEqual changes",
    "changes": "at status",
    "cpeApplicability": "operator negate nodes",
    "nodes": "operator negate cpeMatch",
    "cpeMatch": "vulnerable criteria versionStartIncluding versionStartExcluding versionEndExcluding",
    "descriptions": "lang value",
    "rejectedReasons": "lang value",
    "references": "url",
}
TEXTS = frozenset({"aliases", "cpes", "versions"})
FLAGS = frozenset({"negate", "vulnerable"})


def _object(chance: random.Random, members: dict[str, str], kind: str) -> dict[str, Any]:
    """An object with some of its members, each of the right type but for one in forty."""
    made: dict[str, Any] = {"type": "ECOSYSTEM"} if kind == "ranges" else {}
    for name in members[kind].split():
        if chance.random() < 0.3:
            continue
        if chance.random() < 0.025:
            made[name] = chance.choice(WRONG)
        elif name == "package":
            made[name] = _object(chance, members, name)
        elif name in members:
            made[name] = [_object(chance, members, name) for _ in range(chance.randint(0, 3))]
        elif name in TEXTS:
            made[name] = chance.sample(WORDS, chance.randint(0, 4))
        else:
            made[name] = chance.random() < 0.5 if name in FLAGS else chance.choice(WORDS)
    return made


def _check(finding: Finding) -> None:
    """Every product of a finding makes entries that an incident can have."""
    for entry in entries(product for product in finding.products):
        members = {name: value for name, value in msgspec.to_builtins(entry).items() if value is not None}
        members["fixed_in"] = [fixed for fixed in members.get("fixed_in", ()) if len(fixed) <= 100]
        members.pop("range_text", None)
        msgspec.convert({"deployments": ["arnia/y"], **members}, Affected)
    answers(finding, "1.0", "2.0-rc1", "nonsense")


@pytest.mark.parametrize("form", ["osv", "cve"])
def test_any_json_gives_findings_or_is_refused(form: str) -> None:
    chance = random.Random(form)
    findings = 0
    for _ in range(200):
        if form == "osv":
            advisory: Any = {"id": "X-1-1", **_object(chance, OSV_MEMBERS, "advisory")}
            reader = read_osv
        else:
            cna, adp = (_object(chance, CVE_MEMBERS, "advisory") for _ in range(2))
            advisory = {"cveMetadata": {"cveId": "CVE-2099-10001"}, "containers": {"cna": cna, "adp": [adp]}}
            reader = read_cve
        try:
            read = reader(json.dumps(advisory).encode())
        except Invalid:
            continue
        for finding in read:
            findings += 1
            _check(finding)
    assert 40 < findings < 200


@pytest.mark.parametrize(
    "words",
    ["1.0 " * 400, "1." * 900, "<" * 1_900, "1.x" * 600, "to " * 600, "1-" * 900, "6.x, " * 350, "((" * 900],
)
def test_long_words_are_read_in_one_walk(words: str) -> None:
    for member in ("version", "lessThan"):
        finding = product_of_cve({"version": "1.0", member: words})
        assert answers(finding, "7.7.7")[0] != "affected"


def test_thousands_of_versions_and_events_are_read() -> None:
    many = [
        {"version": f"1.{number}", "lessThan": f"1.{number}.5", "versionType": "custom"}
        for number in range(900)
    ]
    finding = product_of_cve(*many)
    assert answers(finding, "1.700.3", "0.9") == [
        "affected",
        "unknown" if finding.products[0].texts else "not_affected",
    ]
    listed = osv({"package": {"name": "x"}, "versions": [f"1.{number}" for number in range(9_000)]})
    assert answers(listed, "1.8999", "2.0") == ["affected", "not_affected"]
