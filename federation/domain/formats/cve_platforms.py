"""``cpeApplicability`` of a CVE record (CVE schema 5.1): products by CPE, with ranges of versions.

Each match that is vulnerable is a product of its own: several are alternatives. A match that only holds
together with another program or system (AND), or a part of a negated condition, answers unknown: a record of
a deployment does not say what else runs there. Hardware beside its firmware is no condition: nobody runs the
one without the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from federation.domain.formats.advisory import Product
from federation.domain.formats.cpe import Cpe, parse_cpe
from federation.domain.formats.ecosystems import scheme_of_product
from federation.domain.formats.ranges import Interval, bounds_of, ranges_of
from federation.domain.formats.version_text import is_series, is_version


class CpeMatch(msgspec.Struct, rename="camel"):
    vulnerable: bool = True
    criteria: str = ""
    version_start_including: str | None = None
    version_start_excluding: str | None = None
    version_end_including: str | None = None
    version_end_excluding: str | None = None


class CpeNode(msgspec.Struct, rename="camel"):
    operator: str = "OR"
    negate: bool = False
    cpe_match: tuple[CpeMatch, ...] | None = None


class Applicability(msgspec.Struct):
    operator: str = "OR"
    negate: bool = False
    nodes: tuple[CpeNode, ...] | None = None


def applicable_products(applicability: Sequence[Applicability], pointer: str) -> Iterator[Product]:
    """The vulnerable products of ``cpeApplicability``. ``pointer`` leads to the member."""
    for number, configuration in enumerate(applicability):
        nodes = configuration.nodes or ()
        for index, node in enumerate(nodes):
            matches = node.cpe_match or ()
            others = (
                [other for other in nodes if other is not node] if _is_and(configuration.operator) else []
            )
            for place, match in enumerate(matches):
                cpe = parse_cpe(match.criteria)
                if cpe is None or cpe.identity is None or not match.vulnerable:
                    continue
                beside = [other for other in matches if other is not match] if _is_and(node.operator) else []
                is_conditional = (
                    configuration.negate
                    or node.negate
                    or any(
                        _is_condition(cpe, condition.cpe_match or (), negate=condition.negate)
                        for condition in others
                    )
                )
                is_conditional |= any(_is_condition(cpe, (condition,), negate=False) for condition in beside)
                yield _product(
                    cpe,
                    match,
                    f"{pointer}/{number}/nodes/{index}/cpeMatch/{place}",
                    is_conditional=is_conditional,
                )


def _is_and(operator: str) -> bool:
    return operator.upper() == "AND"


def _is_condition(cpe: Cpe, matches: Sequence[CpeMatch], *, negate: bool) -> bool:
    """True for matches that a deployment of the product can miss: another program or system."""
    others = [parse_cpe(match.criteria) for match in matches]
    return negate or any(
        other is None or (other.part != "h" and other.identity != cpe.identity) for other in others
    )


def _product(cpe: Cpe, match: CpeMatch, pointer: str, *, is_conditional: bool) -> Product:
    interval = _interval(cpe, match)
    ranges: tuple[str, ...] = ()
    texts: tuple[str, ...] = (_words(match),)
    if interval is not None and not is_conditional:
        names = [cpe.identity or ""]
        ranges, texts = ranges_of(scheme_of_product(names, bounds_of([interval])), [interval])
    return Product(names=(cpe.identity or "",), ranges=ranges, texts=texts, source_pointer=pointer)


def _interval(cpe: Cpe, match: CpeMatch) -> Interval | None:
    """The versions of a match; None where they are not sure."""
    lows = [
        f"{comparator}{version.strip()}"
        for comparator, version in (
            (">=", match.version_start_including),
            (">", match.version_start_excluding),
        )
        if version and version.strip() not in ("0", "*", "-")
    ]
    highs = [
        f"{comparator}{version.strip()}"
        for comparator, version in (("<=", match.version_end_including), ("<", match.version_end_excluding))
        if version and version.strip() not in ("*", "-")
    ]
    if len(lows) > 1 or len(highs) > 1:
        return None
    if not all(
        is_version(bound.lstrip("<>=")) and not is_series(bound.lstrip("<>=")) for bound in (*lows, *highs)
    ):
        return None
    if lows or highs:
        return (lows[0] if lows else None, highs[0] if highs else None) if cpe.version == "*" else None
    if cpe.version == "*":
        return (None, None)
    if is_version(cpe.version) and not is_series(cpe.version) and cpe.update in ("*", "-"):
        return (cpe.version, None)
    return None


def _words(match: CpeMatch) -> str:
    """A match as it stands there."""
    bounds = (
        ("from", match.version_start_including),
        ("after", match.version_start_excluding),
        ("up to", match.version_end_including),
        ("before", match.version_end_excluding),
    )
    return " ".join((match.criteria, *(f"{word} {version}" for word, version in bounds if version)))
