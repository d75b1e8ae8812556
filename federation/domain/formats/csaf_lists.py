"""The lists by which CSAF 2.0 documents are found: provider metadata, ROLIE feeds and their service document.

Section 7.1 of CSAF 2.0, requirements 7, 15 and 16; RFC 8322.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from federation.domain.formats.csaf_envelope import Issuer
from federation.domain.visibility import Tlp

FeedLabel = Literal["white", "green", "amber"]
FEEDS: dict[FeedLabel, tuple[Tlp, ...]] = {
    "white": ("CLEAR",),
    "green": ("GREEN",),
    "amber": ("AMBER", "AMBER+STRICT"),
}
"""The feeds, and the labels of the documents in each. A RED record is for nobody else, so there is none."""
SCHEMA = "https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json"
_CATEGORY = [{"scheme": "urn:ietf:params:rolie:category:information-type", "term": "csaf"}]


class Listed(msgspec.Struct, frozen=True):
    """A document in a feed."""

    id: str
    title: str
    published: str
    updated: str
    url: str


def feed_url(base: str, label: FeedLabel) -> str:
    return f"{base}/csaf/{label}/feed-tlp-{label}.json"


def key_url(base: str, fingerprint: str) -> str:
    """The address of a public key: beside the metadata (requirement 20)."""
    return f"{base}/.well-known/csaf/openpgp/{fingerprint}.asc"


def metadata(
    issuer: Issuer, base: str, *, updated: str, fingerprints: Sequence[str] = (), is_signed: bool = False
) -> dict[str, Any]:
    """``provider-metadata.json``. ``fingerprints``: of the OpenPGP keys, the one that signs first.

    With signed documents the operator is a trusted provider (7.2.3), without TLS a publisher at most
    (requirements 3 and 9).
    """
    provider = "csaf_trusted_provider" if is_signed else "csaf_provider"
    keys = [{"fingerprint": name, "url": key_url(base, name)} for name in fingerprints]
    feeds = [
        {
            "summary": f"Advisories and VEX documents of {issuer.name}, TLP:{label.upper()}",
            "tlp_label": label.upper(),
            "url": feed_url(base, label),
        }
        for label in FEEDS
    ]
    return {
        "canonical_url": f"{base}/.well-known/csaf/provider-metadata.json",
        "distributions": [{"rolie": {"feeds": feeds, "services": [f"{base}/.well-known/csaf/service.json"]}}],
        "last_updated": updated,
        "list_on_CSAF_aggregators": True,
        "metadata_version": "2.0",
        "mirror_on_CSAF_aggregators": True,
        "publisher": issuer.publisher(),
        "role": provider if base.startswith("https://") else "csaf_publisher",
        **({"public_openpgp_keys": keys} if keys else {}),
    }


def service(issuer: Issuer, base: str) -> dict[str, Any]:
    """The ROLIE service document."""
    collections = [
        {
            "categories": {"category": _CATEGORY},
            "href": feed_url(base, label),
            "title": f"{issuer.name}: CSAF documents, TLP:{label.upper()}",
        }
        for label in FEEDS
    ]
    return {"service": {"workspace": [{"collection": collections, "title": "CSAF documents"}]}}


def feed(
    issuer: Issuer,
    base: str,
    label: FeedLabel,
    entries: Sequence[Listed],
    *,
    updated: str,
    is_signed: bool = False,
) -> dict[str, Any]:
    """A ROLIE feed: every document of a label, those changed last first; with links to their signatures."""
    url = feed_url(base, label)
    return {
        "feed": {
            "category": _CATEGORY,
            "entry": [_entry(listed, is_signed) for listed in entries],
            "id": f"{issuer.operator}-csaf-feed-tlp-{label}",
            "link": [
                {"href": url, "rel": "self"},
                {"href": f"{base}/.well-known/csaf/service.json", "rel": "service"},
            ],
            "title": f"{issuer.name}: CSAF documents, TLP:{label.upper()}",
            "updated": updated,
        }
    }


def _entry(listed: Listed, is_signed: bool) -> dict[str, Any]:
    links = [
        ("self", listed.url), ("hash", f"{listed.url}.sha256"), ("hash", f"{listed.url}.sha512"),
        *([("signature", f"{listed.url}.asc")] if is_signed else ()),
    ]  # fmt: skip
    return {
        "content": {"src": listed.url, "type": "application/json"},
        "format": {"schema": SCHEMA, "version": "2.0"},
        "id": listed.id,
        "link": [{"href": url, "rel": relation} for relation, url in links],
        "published": listed.published,
        "title": listed.title,
        "updated": listed.updated,
    }
