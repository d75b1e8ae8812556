"""Package URLs (https://github.com/package-url/purl-spec), and the one name that a package has here.

A purl is ``pkg:TYPE/NAMESPACE/NAME@VERSION?QUALIFIERS#SUBPATH``. Package managers write names in several
ways, and people leave the percent-encoding out: both are read, so that one package has one name.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

import msgspec

MAX_PURL_CHARACTERS = 1_000
"""Characters of a purl, at most: a longer one names no package."""
_TYPE = re.compile(r"[a-z][a-z0-9.+-]*")
_NOT_IN_NAMES = re.compile(r"[\x00-\x20\x7f]")


class Purl(msgspec.Struct, frozen=True):
    """A package, decoded; type, namespace and name in the form in which they are compared."""

    type: str
    namespace: str
    """Empty for a package that has none; parts are joined by ``/``."""
    name: str
    version: str | None = None
    qualifiers: tuple[tuple[str, str], ...] = ()
    subpath: str = ""

    @property
    def identity(self) -> str:
        """The package without its version: ``purl:TYPE/NAMESPACE/NAME``.

        An OCI image has no namespace: its repository tells it from others of the same name.
        """
        namespace = self.namespace
        if self.type == "oci" and (url := dict(self.qualifiers).get("repository_url")):
            namespace = url.partition("://")[2] or url
            namespace = namespace.strip("/").lower().removesuffix(f"/{self.name}")
        return f"purl:{'/'.join(part for part in (self.type, namespace, self.name) if part)}"


def parse_purl(uri: str) -> Purl | None:
    """The package that a purl names; None for a text that is no purl."""
    if len(uri) > MAX_PURL_CHARACTERS:
        return None
    scheme, colon, rest = uri.strip().partition(":")
    if scheme.lower() != "pkg" or not colon:
        return None
    rest, _, subpath = rest.partition("#")
    rest, _, query = rest.partition("?")
    type_, slash, path = rest.strip("/").partition("/")
    type_ = type_.lower()
    if not slash or not _TYPE.fullmatch(type_):
        return None
    # A version follows the name. An @ before a slash, or at the beginning, is a part of the name.
    name, _, version = path.rpartition("@")
    if not name or "/" in version or name.endswith("/"):
        name, version = path, ""
    purl = _named(type_, unquote(name))
    if purl is None:
        return None
    qualifiers = [pair.partition("=") for pair in query.split("&") if "=" in pair]
    return msgspec.structs.replace(
        purl,
        version=unquote(version) or None,
        qualifiers=tuple((key.lower(), unquote(value)) for key, _, value in qualifiers),
        subpath=unquote(subpath).strip("/"),
    )


def identity_of(uri: str) -> str | None:
    """The name of the package that a purl names, without its version; None for a text that is no purl."""
    purl = parse_purl(uri)
    return purl.identity if purl else None


def identity(type_: str, name: str) -> str | None:
    """The name of a package by its type and the name that its manager gives it (``group:artifact``)."""
    purl = _named(type_, name) if len(name) <= MAX_PURL_CHARACTERS else None
    return purl.identity if purl else None


def _named(type_: str, path: str) -> Purl | None:
    """A package by its decoded namespace and name. Letters have no case here: few packages differ by it."""
    if type_ == "maven" and "/" not in path:
        path = path.replace(":", "/", 1)
    parts = [part for part in path.lower().split("/") if part not in ("", ".", "..")]
    if not parts or _NOT_IN_NAMES.search(path):
        return None
    *namespace, name = parts
    if type_ == "pypi":
        name = re.sub(r"[-_.]+", "-", name)  # PEP 503
    return Purl(type_, "/".join(namespace), name)
