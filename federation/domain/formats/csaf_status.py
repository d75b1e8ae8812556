"""The products that a vulnerability of a CSAF document affects, with all their versions.

A product status lists leaves of the product tree (CSAF 2.1, 3.2.4.12). The leaves of one product are read
together: what is affected, what is fixed, what is not known. A version that is listed both as affected and
as not affected, since its leaves differ in an architecture or a patch level, answers unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from federation.domain.formats.advisory import Product, Remedy
from federation.domain.formats.csaf_tree import TreeProduct
from federation.domain.formats.csaf_versions import (
    Versions,
    all_but,
    gaps,
    intervals_of_trains,
    is_plain,
    read_versions,
    to_ranges,
)
from federation.domain.formats.ranges import Interval

_AFFECTED = ("known_affected", "first_affected", "last_affected")
_UNKNOWN = ("under_investigation", "unknown")
_FIXED = ("first_fixed", "fixed")
STATUSES = (*_AFFECTED, *_UNKNOWN, *_FIXED, "known_not_affected")
"""Statuses that are read. ``recommended`` is none: what is recommended may be affected, too."""
_WORDS = {"under_investigation": "under investigation", "unknown": "not known whether affected"}
MAX_EXCEPTIONS = 100
"""Versions that are excepted from "every version", at most; with more of them every version is affected."""
MAX_GAPS = 20
"""Gaps of a list of versions that are named, at most; one of them makes what is not listed unknown."""

Listed = dict[str, list[tuple[str, TreeProduct]]]
"""Products with their ids, by status."""


def read_statuses(
    statuses: Mapping[str, tuple[str, ...]], products: Mapping[str, TreeProduct]
) -> tuple[list[Listed], list[str]]:
    """The products of a vulnerability, the versions of one product together; and ids that the tree lacks."""
    found: list[tuple[str, str, TreeProduct]] = []
    missing: list[str] = []
    identities: dict[tuple[str, str], set[str]] = {}
    for status in STATUSES:
        for product_id in dict.fromkeys(statuses.get(status, ())):
            product = products.get(product_id)
            if product is None:
                missing.append(product_id)
            else:
                found.append((status, product_id, product))
                identities.setdefault(product.branch, set()).add(product.identity)
    groups: dict[tuple[str, str, str], Listed] = {}
    for status, product_id, product in found:
        # A branch can have several products, such as a distribution its packages: identifiers say so.
        several = len(identities[product.branch] - {""}) > 1
        group = groups.setdefault((*product.branch, product.identity if several else ""), {})
        group.setdefault(status, []).append((product_id, product))
    return list(groups.values()), missing


def affected_product(
    listed: Listed,
    pointer: str,
    remedies: Mapping[str, tuple[Remedy, ...]],
    for_all: tuple[Remedy, ...],
) -> Product | None:
    """A product with its affected versions; None where none is affected, fixed or unknown."""
    by_status = {status: [product for _, product in entries] for status, entries in listed.items()}
    affected, unknown, fixed = (_of(by_status, statuses) for statuses in (_AFFECTED, _UNKNOWN, _FIXED))
    if not affected and not unknown and not fixed:
        return None
    cleared = [*fixed, *by_status.get("known_not_affected", ())]
    contradicted = {_version(p) for p in (*affected, *unknown)} & {_version(p) for p in cleared}
    texts = [f"{_WORDS[status]}: {p.words}" for status in _UNKNOWN for p in by_status.get(status, ())]
    texts += [
        f"{p.words}: of this version some are affected and others are not"
        for p in affected
        if _version(p) in contradicted
    ]
    listed_versions = [p.version for p in (*affected, *unknown, *cleared) if not p.is_range]
    plain = [p.version for p in by_status.get("known_affected", ()) if not p.is_range]
    if not any(p.is_range for p in cleared):
        between = [f"between {low} and {high}" for low, high in gaps(plain, listed_versions)]
        texts += [f"not listed: {', '.join(between[:MAX_GAPS])}"] if between else []
    excepted = [p.version for p in cleared if not p.is_range and _version(p) not in contradicted]
    versions = list(_affected_versions(by_status, contradicted, [v for v in excepted if is_plain(v)]))
    ranges, words = to_ranges(versions, _names(listed))
    if not affected and not unknown:
        texts.append("the document lists only what is fixed")
    ids = [id_ for status in (*_AFFECTED, *_UNKNOWN, *_FIXED) for id_, _ in listed.get(status, ())]
    first = next(status for status in STATUSES if listed.get(status))
    return Product(
        names=_names(listed),
        ranges=ranges,
        texts=(*dict.fromkeys(texts), *words),
        fixed=tuple(
            dict.fromkeys(
                p.version
                for p in fixed
                if is_plain(p.version) and not p.is_range and _version(p) not in contradicted
            )
        ),
        remedies=tuple(dict.fromkeys([r for id_ in ids for r in remedies.get(id_, ())] + list(for_all))),
        source_pointer=f"{pointer}/product_status/{first}",
    )


def cleared_product(listed: Listed) -> Product | None:
    """A product that is listed as not affected, and as nothing else."""
    return Product(names=_names(listed)) if set(listed) == {"known_not_affected"} else None


def _of(by_status: Mapping[str, Sequence[TreeProduct]], statuses: Iterable[str]) -> list[TreeProduct]:
    return [product for status in statuses for product in by_status.get(status, ())]


def _names(listed: Listed) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(n for entries in listed.values() for _, product in entries for n in product.names)
    )


def _version(product: TreeProduct) -> tuple[str, bool]:
    return product.version, product.is_range


def _affected_versions(
    by_status: Mapping[str, Sequence[TreeProduct]],
    contradicted: set[tuple[str, bool]],
    excepted: Sequence[str],
) -> Iterator[Versions]:
    """What is affected: versions and ranges as they are, first and last ones as intervals."""
    bounds: dict[str, list[TreeProduct]] = {}
    for status in _AFFECTED:
        for product in by_status.get(status, ()):
            if _version(product) in contradicted:
                continue
            versions = read_versions(product.version, is_range=product.is_range)
            if status != "known_affected" and is_plain(product.version) and not product.is_range:
                bounds.setdefault(status, []).append(product)
            elif versions.intervals == ((None, None),) and 0 < len(excepted) <= MAX_EXCEPTIONS:
                yield all_but(excepted)
            else:
                yield versions
    if bounds:
        yield _trains(bounds, [p.version for p in _of(by_status, _FIXED) if not p.is_range])


def _trains(bounds: Mapping[str, Sequence[TreeProduct]], fixed: Sequence[str]) -> Versions:
    """Intervals from first to last affected versions, of each branch alone where each has both."""
    first, last = bounds.get("first_affected", ()), bounds.get("last_affected", ())
    by_train: dict[tuple[str, ...], tuple[list[str], list[str]]] = {}
    for number, products in enumerate((first, last)):
        for product in products:
            by_train.setdefault(product.train, ([], []))[number].append(product.version)
    intervals: tuple[Interval, ...] | None = ()
    if all(len(lows) == len(highs) == 1 for lows, highs in by_train.values()):
        intervals = tuple((f">={lows[0]}", f"<={highs[0]}") for lows, highs in by_train.values())
    else:
        intervals = intervals_of_trains([p.version for p in first], [p.version for p in last], fixed)
    if intervals is not None:
        return Versions(intervals=intervals)
    texts = [f"first affected: {p.words}" for p in first] + [f"last affected: {p.words}" for p in last]
    return Versions(texts=("; ".join(texts),))
