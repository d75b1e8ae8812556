"""CVE records, format 5.x (CVE JSON 5.1, https://github.com/CVEProject/cve-schema)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from federation.domain.errors import Invalid
from federation.domain.formats.advisory import (
    Exploitation,
    Finding,
    Interval,
    Product,
    decode,
    parse_instant,
    ranges_of,
)


class _Change(msgspec.Struct):
    at: str
    status: str


class _Version(msgspec.Struct, rename="camel"):
    version: str
    status: str = "affected"
    version_type: str = ""
    less_than: str | None = None
    less_than_or_equal: str | None = None
    changes: tuple[_Change, ...] = ()


class _Affected(msgspec.Struct, rename="camel"):
    vendor: str = ""
    product: str = ""
    collection_url: str = msgspec.field(default="", name="collectionURL")
    package_name: str = ""
    cpes: tuple[str, ...] = ()
    versions: tuple[_Version, ...] = ()
    default_status: str = "unknown"


class _Text(msgspec.Struct):
    lang: str = "en"
    value: str = ""


class _Reference(msgspec.Struct):
    url: str = ""


class _Container(msgspec.Struct, rename="camel"):
    title: str = ""
    descriptions: tuple[_Text, ...] = ()
    affected: tuple[_Affected, ...] = ()
    references: tuple[_Reference, ...] = ()
    metrics: tuple[dict[str, Any], ...] = ()
    workarounds: tuple[_Text, ...] = ()


class _Containers(msgspec.Struct):
    cna: _Container
    adp: tuple[_Container, ...] = ()


class _Metadata(msgspec.Struct, rename="camel"):
    cve_id: str
    state: str = "PUBLISHED"
    date_published: str | None = None
    date_reserved: str | None = None
    date_updated: str | None = None


class _Record(msgspec.Struct, rename="camel"):
    cve_metadata: _Metadata
    containers: _Containers
    data_type: str = "CVE_RECORD"


def read_cve(raw: bytes) -> tuple[Finding, ...]:
    """Read the vulnerability of a CVE record. Raises Invalid."""
    record = decode(raw, _Record)
    metadata, cna = record.cve_metadata, record.containers.cna
    if not re.fullmatch(r"CVE-[0-9]{4}-[0-9]{4,19}", metadata.cve_id):
        raise Invalid(f"{metadata.cve_id[:80]!r} is not a CVE id", pointer="/cveMetadata/cveId")
    metrics = [metric for part in (cna, *record.containers.adp) for metric in part.metrics]
    vector, severity = _score(metrics)
    description = _english(cna.descriptions)
    products = [_product(entry) for part in (cna, *record.containers.adp) for entry in part.affected]
    name = " ".join(dict.fromkeys(entry.product for entry in cna.affected if entry.product)) or "a product"
    withdrawn = metadata.state == "REJECTED"
    return (
        Finding(
            id=metadata.cve_id,
            title=cna.title or f"{metadata.cve_id} in {name}",
            summary=description or cna.title or metadata.cve_id,
            published=parse_instant(metadata.date_published)
            or parse_instant(metadata.date_reserved)
            or parse_instant(metadata.date_updated),
            products=tuple(products),
            url=f"https://www.cve.org/CVERecord?id={metadata.cve_id}",
            aliases=(metadata.cve_id, *_aliases(record)),
            severity=severity,
            vector=vector,
            exploitation=_exploitation(metrics),
            withdrawn=withdrawn,
            workarounds=tuple(
                text.value for text in cna.workarounds if text.lang.startswith("en") and text.value
            ),
            notes=() if cna.title else ("title: not told, made of the product's name",),
        ),
    )


def _english(texts: tuple[_Text, ...]) -> str:
    english = [text.value for text in texts if text.lang.lower().startswith("en")]
    return "\n\n".join(english or [text.value for text in texts])


def _score(metrics: list[dict[str, Any]]) -> tuple[str | None, str | None]:
    for name in ("cvssV4_0", "cvssV3_1", "cvssV3_0", "cvssV2_0"):
        for metric in metrics:
            score = metric.get(name)
            if isinstance(score, dict) and isinstance(score.get("vectorString"), str):
                severity = score.get("baseSeverity")
                return score["vectorString"], severity if isinstance(severity, str) else None
    return None, None


def _exploitation(metrics: list[dict[str, Any]]) -> Exploitation | None:
    """The judgement that CISA adds to the record: known exploited, or the decision of SSVC."""
    decision: Exploitation | None = None
    for metric in metrics:
        extra = metric.get("other")
        if not isinstance(extra, dict):
            continue
        if extra.get("type") == "kev":
            return "active"
        content = extra.get("content")
        options = content.get("options", ()) if isinstance(content, dict) else ()
        for option in options if isinstance(options, list) else ():
            value = option.get("Exploitation") if isinstance(option, dict) else None
            if value in ("none", "poc", "active"):
                decision = value
    return decision


def _aliases(record: _Record) -> Iterator[str]:
    for part in (record.containers.cna, *record.containers.adp):
        for reference in part.references:
            if alias := re.search(r"GHSA(-[0-9a-z]{4}){3}", reference.url):
                yield alias[0]


def _product(affected: _Affected) -> Product:
    names = [f"cpe:{cpe.split(':')[3]}:{cpe.split(':')[4]}" for cpe in affected.cpes if cpe.count(":") > 4]
    if affected.vendor and affected.product:
        names.append(f"cpe:{affected.vendor}:{affected.product}")
        names.append(f"repository:{affected.vendor}/{affected.product}")
    names += [f"name:{name}" for name in (affected.product, affected.package_name) if name]
    intervals: list[Interval] = []
    texts: list[str] = []
    fixed: list[str] = []
    types = {version.version_type for version in affected.versions}
    for version in affected.versions:
        if version.status == "affected":
            listed = _intervals(version)
            if listed is None:
                texts.append(_words(version))
            else:
                intervals += listed
                fixed += [high[1:] for _, high in listed if high and high.startswith("<") and high[1] != "="]
    if affected.default_status == "affected":
        rest = _all_but([version for version in affected.versions if version.status == "unaffected"])
        if rest is None:
            texts.append("every version that is not named as unaffected")
        else:
            intervals += rest
    elif not affected.versions:
        texts.append("the record names no versions")
    ranges, unranged = _ranges(intervals, types)
    return Product(
        names=tuple(dict.fromkeys(name.lower() for name in names)),
        ranges=ranges,
        texts=(*texts, *unranged),
        fixed=tuple(fixed),
    )


def _ranges(intervals: list[Interval], types: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ranges of the scheme that fits most products; where it does not, of the one that the record names."""
    ranges, texts = ranges_of("generic", intervals)
    schemes = {"python": "pypi", "rpm": "rpm", "deb": "deb", "maven": "maven", "dpkg": "deb"}
    for scheme in (schemes[type_] for type_ in types if type_ in schemes):
        if texts:
            ranges, texts = ranges_of(scheme, intervals)
    return ranges, texts


_COMPARISON = re.compile(r"(>=|<=|=|<|>)?\s*([^\s,<>=]+)")
_NOTHING = frozenset({"", "0", "*", "unspecified", "n/a", "-", "unknown"})


def _intervals(entry: _Version) -> list[Interval] | None:
    """The versions that an entry names; None where words alone can name them."""
    if entry.version_type in ("git", "custom-git"):
        return None
    low = None if entry.version.strip().lower() in _NOTHING else entry.version.strip()
    end = entry.less_than or entry.less_than_or_equal
    if end is None:
        return _parse_comparisons(entry.version.strip())
    if low is not None and not re.match(r"[vV]?[0-9]", low):
        return None
    ends = [(f"<{change.at}", change.status) for change in entry.changes]
    if not all(status == "unaffected" for _, status in ends):
        return None
    first = f">={low}" if low else None
    if ends:
        return [(first, ends[0][0])]
    if end.strip() == "*":
        return [(first, None)]
    return [(first, f"{'<' if entry.less_than else '<='}{end.strip()}")]


def _parse_comparisons(version: str) -> list[Interval] | None:
    """Comparisons that some write into the version itself: ``>= 10.0.0, < 10.0.18``."""
    if version.lower() in ("*", "all", "all versions"):
        return [(None, None)]
    parts = [part.strip() for part in version.split(",")]
    comparisons = [_COMPARISON.fullmatch(part) for part in parts]
    if not all(comparisons) or not 1 <= len(parts) <= 2:
        return None
    bounds = [(comparison[1] or "=", comparison[2]) for comparison in comparisons if comparison]
    if not all(re.match(r"[vV]?[0-9]", version) for _, version in bounds):
        return None
    if len(bounds) == 1:
        comparator, version = bounds[0]
        bound = f"{comparator}{version}"
        if comparator == "=":
            return [(version, None)] if _is_single(version) else None
        return [(bound, None)] if comparator.startswith(">") else [(None, bound)]
    (low, first), (high, last) = bounds
    if not (low.startswith(">") and high.startswith("<")):
        return None
    return [(f"{low}{first}", f"{high}{last}")]


def _is_single(version: str) -> bool:
    return re.fullmatch(r"[vV]?[0-9][0-9A-Za-z.+~_:-]*", version) is not None


def _all_but(unaffected: list[_Version]) -> list[Interval] | None:
    """The complement of unaffected versions, where it is simple: all before one, or all but single ones."""
    if not unaffected:
        return [(None, None)]
    first = unaffected[0]
    if len(unaffected) == 1 and "*" in (first.less_than, first.less_than_or_equal):
        return [(None, f"<{first.version}")]
    single = all(entry.less_than is None and entry.less_than_or_equal is None for entry in unaffected)
    if single and all(_is_single(entry.version) for entry in unaffected) and len(unaffected) <= 100:
        return [(f"!={entry.version}", None) for entry in unaffected]
    return None


def _words(entry: _Version) -> str:
    end = f" before {entry.less_than}" if entry.less_than else ""
    last = f" up to {entry.less_than_or_equal}" if entry.less_than_or_equal else ""
    kind = f" ({entry.version_type})" if entry.version_type else ""
    return f"{entry.version}{end}{last}{kind}"
