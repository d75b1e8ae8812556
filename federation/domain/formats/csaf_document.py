"""The head of a CSAF document: version of the form, label, status, language, origin."""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec

from federation.domain.errors import Invalid
from federation.domain.formats.csaf_vulnerability import Extension, Note
from federation.domain.formats.document import is_url
from federation.domain.visibility import TLPS, Tlp

VERSIONS = ("2.0", "2.1")
"""Versions of CSAF that are read."""


class _Reference(msgspec.Struct):
    url: str = ""
    category: str = ""


class _Tracking(msgspec.Struct):
    id: str
    status: str = "final"
    version: str = ""
    initial_release_date: str | None = None
    current_release_date: str | None = None


class _Severity(msgspec.Struct):
    text: str = ""


class _Publisher(msgspec.Struct):
    namespace: str = ""


class _Tlp(msgspec.Struct):
    label: str


class _SharingGroup(msgspec.Struct):
    id: str = ""


class _Distribution(msgspec.Struct):
    tlp: _Tlp | None = None
    text: str = ""
    sharing_group: _SharingGroup | None = None  # CSAF 2.1


class Meta(msgspec.Struct):
    """The members of ``document`` that are read."""

    category: str
    title: str
    tracking: _Tracking
    csaf_version: str | None = None
    lang: str | None = None
    publisher: _Publisher = msgspec.field(default_factory=_Publisher)
    aggregate_severity: _Severity | None = None
    distribution: _Distribution | None = None
    notes: tuple[Note, ...] = ()
    references: tuple[_Reference, ...] = ()
    x_extensions: tuple[Extension, ...] = ()


def check_version(meta: Meta) -> None:
    """Raises Invalid for a version of CSAF that is not read: its members may mean something else."""
    if meta.csaf_version is not None and meta.csaf_version not in VERSIONS:
        raise Invalid(
            f"it is of CSAF {meta.csaf_version[:20]!r}; {' and '.join(VERSIONS)} are read",
            pointer="/document/csaf_version",
        )


Status = Literal["draft", "interim", "final"]


def check_status(meta: Meta) -> Status:
    """The status of the document. Raises Invalid for one that is unknown: it may be a draft."""
    for status in get_args(Status):
        if meta.tracking.status.strip().lower() == status:
            return status  # type: ignore[no-any-return] # get_args has no types
    raise Invalid(
        f"its status is {meta.tracking.status[:20]!r}; {', '.join(get_args(Status))} are known",
        pointer="/document/tracking/status",
    )


# Label

_LABELS: dict[str, Tlp] = {"WHITE": "CLEAR", **{label: label for label in get_args(Tlp)}}
"""Labels of CSAF 2.0 (3.2.1.5.2.1, TLP 1) and 2.1 (TLP 2), as labels of TLP 2.0."""
_LABEL_IN_TEXT = re.compile(
    r"(?:\bTLP|\bTraffic[ -]Light(?:[ -]Protocol)?)(?: ?v?[12](?:\.[0-9])?)?\W{1,3}"
    r"(WHITE|CLEAR|GREEN|AMBER\+STRICT|AMBER|RED)\b",
    re.IGNORECASE,
)
_EVERYBODY = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_NOBODY = "00000000-0000-0000-0000-000000000000"


def read_label(meta: Meta) -> Tlp | None:
    """The narrowest label that the rules for sharing name: by a label, in words, or by a closed group.

    Raises Invalid for a label that is unknown: it may be a narrow one.
    """
    distribution = meta.distribution
    if distribution is None:
        return None
    found: list[Tlp] = [_LABELS[match[1].upper()] for match in _LABEL_IN_TEXT.finditer(distribution.text)]
    if distribution.tlp is not None:
        label = distribution.tlp.label.strip().upper().removeprefix("TLP:").strip()
        if label not in _LABELS:
            raise Invalid(
                f"its label is {distribution.tlp.label[:20]!r}; {', '.join(_LABELS)} are known",
                pointer="/document/distribution/tlp/label",
            )
        found.append(_LABELS[label])
    if distribution.sharing_group is not None:
        group = distribution.sharing_group.id.strip().lower()
        found.append("CLEAR" if group == _EVERYBODY else "RED" if group == _NOBODY else "AMBER")
    return max(found, key=TLPS.index) if found else None


def restriction_of(meta: Meta) -> str:
    """The rules for sharing, where they are in words only."""
    distribution = meta.distribution
    return distribution.text.strip() if distribution is not None and read_label(meta) is None else ""


# Language and origin

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}")


def language_of(meta: Meta) -> tuple[str, tuple[str, ...]]:
    """The language of its texts (BCP 47), and a note where that is not one that a record can name."""
    if meta.lang is None or not meta.lang.strip():
        return "en", ()
    primary, hyphen, rest = meta.lang.strip().partition("-")
    tag = f"{primary.lower()}{hyphen}{rest}"
    if _LANGUAGE.fullmatch(tag):
        return tag, ()
    if _LANGUAGE.fullmatch(primary.lower()):
        return primary.lower(), ()
    return "en", (f"language: {meta.lang[:40]!r} is not known, taken as en",)


def url_of(meta: Meta) -> str:
    """The address of the document, else that of its publisher."""
    addresses = [reference.url for reference in meta.references if reference.category == "self"]
    for address in (*addresses, meta.publisher.namespace):
        scheme, separator, rest = address.strip().partition("://")
        if is_url(url := f"{scheme.lower()}{separator}{rest}"):
            return url
    raise Invalid("it says nowhere where it is from", pointer="/document/publisher/namespace")
