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
    decoded,
    moment,
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
    """What a CVE record says. Raises Invalid."""
    record = decoded(raw, _Record)
    about, cna = record.cve_metadata, record.containers.cna
    if not re.fullmatch(r"CVE-[0-9]{4}-[0-9]{4,19}", about.cve_id):
        raise Invalid(f"{about.cve_id[:80]!r} is not a CVE id", pointer="/cveMetadata/cveId")
    metrics = [metric for part in (cna, *record.containers.adp) for metric in part.metrics]
    vector, severity = _score(metrics)
    said = _english(cna.descriptions)
    products = [_product(one) for part in (cna, *record.containers.adp) for one in part.affected]
    name = " ".join(dict.fromkeys(one.product for one in cna.affected if one.product)) or "a product"
    withdrawn = about.state == "REJECTED"
    return (
        Finding(
            id=about.cve_id,
            title=cna.title or f"{about.cve_id} in {name}",
            summary=said or cna.title or about.cve_id,
            published=moment(about.date_published)
            or moment(about.date_reserved)
            or moment(about.date_updated),
            products=tuple(products),
            url=f"https://www.cve.org/CVERecord?id={about.cve_id}",
            aliases=(about.cve_id, *_aliases(record)),
            severity=severity,
            vector=vector,
            exploitation=_exploitation(metrics),
            withdrawn=withdrawn,
            workarounds=tuple(
                one.value for one in cna.workarounds if one.lang.startswith("en") and one.value
            ),
            notes=() if cna.title else ("title: not told, made of the product's name",),
        ),
    )


def _english(several: tuple[_Text, ...]) -> str:
    english = [one.value for one in several if one.lang.lower().startswith("en")]
    return "\n\n".join(english or [one.value for one in several])


def _score(metrics: list[dict[str, Any]]) -> tuple[str | None, str | None]:
    for name in ("cvssV4_0", "cvssV3_1", "cvssV3_0", "cvssV2_0"):
        for metric in metrics:
            found = metric.get(name)
            if isinstance(found, dict) and isinstance(found.get("vectorString"), str):
                severity = found.get("baseSeverity")
                return found["vectorString"], severity if isinstance(severity, str) else None
    return None, None


def _exploitation(metrics: list[dict[str, Any]]) -> Exploitation | None:
    """What CISA tells beside the record: known exploited, or the decision of SSVC."""
    found: Exploitation | None = None
    for metric in metrics:
        other = metric.get("other")
        if not isinstance(other, dict):
            continue
        if other.get("type") == "kev":
            return "active"
        content = other.get("content")
        options = content.get("options", ()) if isinstance(content, dict) else ()
        for option in options if isinstance(options, list) else ():
            told = option.get("Exploitation") if isinstance(option, dict) else None
            if told in ("none", "poc", "active"):
                found = told
    return found


def _aliases(record: _Record) -> Iterator[str]:
    for part in (record.containers.cna, *record.containers.adp):
        for reference in part.references:
            if found := re.search(r"GHSA(-[0-9a-z]{4}){3}", reference.url):
                yield found[0]


def _product(affected: _Affected) -> Product:
    names = [f"cpe:{cpe.split(':')[3]}:{cpe.split(':')[4]}" for cpe in affected.cpes if cpe.count(":") > 4]
    if affected.vendor and affected.product:
        names.append(f"cpe:{affected.vendor}:{affected.product}")
        names.append(f"repository:{affected.vendor}/{affected.product}")
    names += [f"name:{one}" for one in (affected.product, affected.package_name, affected.vendor) if one]
    intervals: list[Interval] = []
    texts: list[str] = []
    fixed: list[str] = []
    types = {one.version_type for one in affected.versions}
    for one in affected.versions:
        if one.status == "affected":
            found = _intervals(one)
            if found is None:
                texts.append(_words(one))
            else:
                intervals += found
                fixed += [high[1:] for _, high in found if high and high.startswith("<") and high[1] != "="]
    if affected.default_status == "affected":
        rest = _all_but([one for one in affected.versions if one.status == "unaffected"])
        if rest is None:
            texts.append("every version that is not named as unaffected")
        else:
            intervals += rest
    elif not affected.versions:
        texts.append("the record names no versions")
    ranges, untold = _told(intervals, types)
    return Product(
        names=tuple(dict.fromkeys(_plain(name) for name in names)),
        ranges=ranges,
        texts=(*texts, *untold),
        fixed=tuple(fixed),
    )


def _told(intervals: list[Interval], types: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """As ranges of the scheme that fits most products; of the scheme that the record names, where not."""
    ranges, texts = ranges_of("generic", intervals)
    named = {"python": "pypi", "rpm": "rpm", "deb": "deb", "maven": "maven", "dpkg": "deb"}
    for scheme in (named[one] for one in types if one in named):
        if texts:
            ranges, texts = ranges_of(scheme, intervals)
    return ranges, texts


_COMPARISON = re.compile(r"(>=|<=|=|<|>)?\s*([^\s,<>=]+)")
_NOTHING = frozenset({"", "0", "*", "unspecified", "n/a", "-", "unknown"})


def _intervals(one: _Version) -> list[Interval] | None:
    """The versions that an entry names; None where they can be told in words only."""
    if one.version_type in ("git", "custom-git"):
        return None
    low = None if one.version.strip().lower() in _NOTHING else one.version.strip()
    end = one.less_than or one.less_than_or_equal
    if end is None:
        return _written_out(one.version.strip())
    if low is not None and not re.match(r"[vV]?[0-9]", low):
        return None
    ends = [(f"<{change.at}", change.status) for change in one.changes]
    if not all(status == "unaffected" for _, status in ends):
        return None
    first = f">={low}" if low else None
    if ends:
        return [(first, ends[0][0])]
    if end.strip() == "*":
        return [(first, None)]
    return [(first, f"{'<' if one.less_than else '<='}{end.strip()}")]


def _written_out(said: str) -> list[Interval] | None:
    """What some write into the version itself: ``>= 10.0.0, < 10.0.18``."""
    if said.lower() in ("*", "all", "all versions"):
        return [(None, None)]
    parts = [part.strip() for part in said.split(",")]
    found = [_COMPARISON.fullmatch(part) for part in parts]
    if not all(found) or not 1 <= len(parts) <= 2:
        return None
    bounds = [(one[1] or "=", one[2]) for one in found if one]
    if not all(re.match(r"[vV]?[0-9]", version) for _, version in bounds):
        return None
    if len(bounds) == 1:
        comparator, version = bounds[0]
        bound = f"{comparator}{version}"
        if comparator == "=":
            return [(version, None)] if _is_one(version) else None
        return [(bound, None)] if comparator.startswith(">") else [(None, bound)]
    (low, first), (high, last) = bounds
    if not (low.startswith(">") and high.startswith("<")):
        return None
    return [(f"{low}{first}", f"{high}{last}")]


def _is_one(version: str) -> bool:
    return re.fullmatch(r"[vV]?[0-9][0-9A-Za-z.+~_:-]*", version) is not None


def _all_but(unaffected: list[_Version]) -> list[Interval] | None:
    """The complement of what is not affected, where it is plain: from a version on, or single versions."""
    if not unaffected:
        return [(None, None)]
    first = unaffected[0]
    if len(unaffected) == 1 and "*" in (first.less_than, first.less_than_or_equal):
        return [(None, f"<{first.version}")]
    single = all(one.less_than is None and one.less_than_or_equal is None for one in unaffected)
    if single and all(_is_one(one.version) for one in unaffected) and len(unaffected) <= 100:
        return [(f"!={one.version}", None) for one in unaffected]
    return None


def _words(one: _Version) -> str:
    end = f" before {one.less_than}" if one.less_than else ""
    last = f" up to {one.less_than_or_equal}" if one.less_than_or_equal else ""
    kind = f" ({one.version_type})" if one.version_type else ""
    return f"{one.version}{end}{last}{kind}"


def _plain(name: str) -> str:
    return name.lower()
