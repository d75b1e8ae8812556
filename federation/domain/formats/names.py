"""The names by which advisories and solutions are compared: ``purl:``, ``cpe:``, ``repository:``, ``name:``.

The first three are identifiers: equal ones mean the same product. A name is a name: two products may have it.
"""

from __future__ import annotations

import re
import unicodedata

import msgspec

from federation.domain.formats.cpe import parse_cpe
from federation.domain.formats.purl import Purl, parse_purl
from federation.domain.formats.repository import PURL_FORGES, parse_address

DISTRIBUTIONS = frozenset({"deb", "rpm", "apk", "alpm", "ebuild", "opkg"})
"""Types of packages that a distribution makes of the software of others, and numbers in its own way."""
NO_VALUE = frozenset({"", "*", "-", "n/a", "na", "unspecified", "unknown", "none"})
"""Words of an advisory that stand for no vendor or product."""
_SPACES = re.compile(r"[\s_-]+")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
_DOCKER_HUB = re.compile(r"(?:(?:index|registry|registry-1|hub)\.)?docker\.(?:io|com)(?:/r)?(?=/|$)")


def read_purl(text: str) -> Purl | None:
    """The package of a purl, images with their registry as namespace; None for a text that is no package.

    An image means something within one registry: that of ``repository_url``, of Docker the Docker Hub.
    """
    purl = parse_purl(text)
    if purl is None or purl.name.startswith("@"):
        return None  # a scope alone is no package
    if purl.type == "cargo":  # crates.io takes these two for one
        return msgspec.structs.replace(purl, name=purl.name.replace("_", "-"))
    if purl.type not in ("oci", "docker"):
        return purl
    registry = dict(purl.qualifiers).get("repository_url", "")
    registry = _SCHEME.sub("", registry.strip().lower()).strip("/").removesuffix(f"/{purl.name}")
    path = "/".join(part for part in (registry, purl.namespace) if part)
    if purl.type == "docker" or _DOCKER_HUB.match(path):
        path = _DOCKER_HUB.sub("", path, count=1).strip("/")
        path = "" if path == "library" else path
        return Purl("docker", path, purl.name, purl.version)
    return Purl("oci", path, purl.name, purl.version)


def purl_name(text: str) -> str | None:
    """``purl:TYPE/NAMESPACE/NAME``, or the repository of one of a forge; None for a text that is none."""
    purl = read_purl(text)
    if purl is None:
        return None
    if host := PURL_FORGES.get(purl.type):
        return repository_name(f"https://{host}/{purl.namespace}/{purl.name}")
    return f"purl:{'/'.join(part for part in (purl.type, purl.namespace, purl.name) if part)}"


def cpe_name(text: str) -> str | None:
    """``cpe:VENDOR:PRODUCT``; None where it names no vendor or product."""
    cpe = parse_cpe(text)
    return vendor_name(cpe.vendor.replace(":", " "), cpe.product.replace(":", " ")) if cpe else None


def vendor_name(vendor: str, product: str) -> str | None:
    """``cpe:VENDOR:PRODUCT`` of the words of an advisory; None where one of them says nothing.

    It is compared with the CPE of a solution, whose two words are made of these by rule (NISTIR 7695, 5.3).
    """
    words = plain(vendor), plain(product)
    return None if not NO_VALUE.isdisjoint(words) else f"cpe:{words[0]}:{words[1]}"


def repository_name(url: str) -> str | None:
    """``repository:HOST/PATH``; None for an address that is none of a repository."""
    address = parse_address(url)
    return f"repository:{address.url.removeprefix('https://')}" if address else None


def plain(name: str) -> str:
    """A name as it is compared: small letters; white space, hyphens and underscores are one underscore."""
    return _SPACES.sub("_", unicodedata.normalize("NFKC", name).casefold().strip()).strip("_")
