"""Addresses in what a writer sends: read by a parser of URLs (RFC 3986), and without secrets.

A record is read by everybody it is for, and copied for ever: a password or token in an address of it is lost.
Records of peers are not refused for it: their bytes are signed, and what was published is published.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
from msgspec import inspect

from federation.domain.canonical import escape_pointer
from federation.domain.messages import Message
from federation.domain.values import IdOrUri, Uri, Url

SECRET_PARAMETERS = frozenset(
    {
        "access_token", "private_token", "job_token", "personal_access_token", "feed_token", "rss_token",
        "oauth_token", "api_key", "apikey", "client_secret", "password", "passwd", "token", "auth_token",
        "authtoken", "api_token", "apitoken", "id_token", "refresh_token", "secret", "jwt",
        "x-amz-signature", "x-amz-security-token", "x-goog-signature",
    }
)  # fmt: skip
"""Parameters of a query whose value lets its reader in."""
MAX_HOST_CHARACTERS = 253
_WEB = ("http", "https")
_WEB_CLONES = (*_WEB, "git+http", "git+https")
"""Schemes whose user name is part of a password, or is one: a forge takes a token for it."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}")
_CLONE = re.compile(r"(?:(?:git\+)?(?:ssh|git)://)?(?:[^\s/@]+@)?([^\s/:@]+)(?::[0-9]+(?=/))?[:/]+([^\s?#]+)")
_NOT_IN_URIS = re.compile(r"[^!-~]|%(?![0-9A-Fa-f]{2})")
"""What no URI has: characters that are not ASCII, white space, and a % that encodes nothing."""
_NOT_AFTER_HOST = re.compile(r"[\[\]#]")
"""Characters that have their meaning before the path, or begin the fragment (RFC 3986, 3.3 to 3.5)."""


def pattern_of(text: Any) -> str:
    """The pattern of an annotated type of texts."""
    pattern: str = text.__metadata__[0].pattern
    return pattern


_ADDRESSES: tuple[Any, ...] = (Url, Uri, IdOrUri)
ADDRESS_PATTERNS = frozenset(map(pattern_of, _ADDRESSES))
"""Patterns of texts that are addresses, or may be one."""


def address_problem(address: str) -> Message | None:
    """The reason that an address may not be published; None for one that may, or is no address of a host.

    It says what is wrong and shows nothing of the address: there may be a secret in it.
    """
    if not address.isascii() and any(map(str.isspace, address)):
        return Message("there is white space in it")
    scheme, colon, rest = address.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        return None
    if wrong := _NOT_IN_URIS.search(address):
        if wrong[0] == "%":
            return Message("after each % come two hexadecimal digits (RFC 3986, 2.1)")
        return _encoded(wrong[0])
    if not rest.startswith("//"):
        return None
    try:
        parts = urlsplit(address)
        host, user, password = parts.hostname, parts.username, parts.password
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return Message("it is not a URL: host or port cannot be read (RFC 3986, 3.2)")
    if password is not None or (user is not None and parts.scheme in _WEB_CLONES):
        return Message(
            "it has a user name or a password before the host, which everybody would read: leave out what is"
            " between // and @, and revoke the secret if it was published (RFC 3986, 3.2.1)"
        )
    if wrong := _NOT_AFTER_HOST.search(f"{parts.path}{parts.query}{parts.fragment}"):
        return _encoded(wrong[0])
    # A fragment is not sent to the host, but read by everybody as well.
    parameters = (*_parameters(parts.query), *_parameters(parts.fragment))
    if secrets := sorted(SECRET_PARAMETERS.intersection(name.lower() for name, _ in parameters)):
        template = "it has a secret, {names}, which everybody would read: leave it out"
        return Message(template, {"names": ", ".join(secrets)})
    if parts.scheme in _WEB and (not host or len(host) > MAX_HOST_CHARACTERS):
        return Message("it names no host (RFC 3986, 3.2.2)")
    return None


def _encoded(character: str) -> Message:
    template = "{character} is written as {encoded} in an address (RFC 3986, 2.1)"
    return Message(template, {"character": character, "encoded": quote(character, safe="")})


def _parameters(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query.replace(";", "&")) if "=" in query else []


def url_problem(text: str) -> Message:
    """The reason that a text is no address of a page on the web, and what to write instead."""
    scheme, colon, rest = text.partition(":")
    is_web = scheme.lower() in _WEB
    if text != text.strip() or any(character.isspace() for character in text):
        return Message("there is white space in it")
    if is_web and rest.startswith("//"):
        return Message('of " < > \\ ^ ` { | } each is written as % and two digits (RFC 3986, 2.1)')
    is_clone = "@" in scheme or scheme.lower() in ("git", "ssh", "git+ssh") or rest.endswith(".git")
    if is_clone and (clone := _CLONE.fullmatch(text)):
        page = f"https://{clone[1].lower()}/{clone[2].removesuffix('/').removesuffix('.git')}"
        return Message("this is the address of a clone; write that of the page, {page}", {"page": page})
    if is_web:
        return Message("after {scheme}: come two slashes and the host", {"scheme": scheme.lower()})
    if colon and _SCHEME.fullmatch(scheme) and "." not in scheme:
        return Message("it begins with {scheme}:", {"scheme": scheme.lower()})
    return Message("it begins with neither https:// nor http://")


def with_plain_scheme(text: str) -> str:
    """An address of the web with its scheme in small letters: a scheme has no case (RFC 3986, 3.1)."""
    scheme, colon, rest = text.partition(":")
    return f"{scheme.lower()}:{rest}" if colon and scheme.lower() in _WEB else text


# The addresses of a record


def addresses_in(struct: msgspec.Struct, at: str = "") -> Iterator[tuple[str, str]]:
    """The addresses of a record, each with its pointer. Members that can have none are passed over."""
    for attribute, name, kind in _members(type(struct)):
        value = getattr(struct, attribute)
        if not value:
            continue  # most members are absent, and this is done for each record that is written
        pointer = f"{at}/{name}"
        for place, part in enumerate(value) if isinstance(value, tuple) else ((None, value),):
            inner = pointer if place is None else f"{pointer}/{place}"
            if kind == "address" and isinstance(part, str):
                yield inner, part
            elif isinstance(part, msgspec.Struct):
                yield from addresses_in(part, inner)


@lru_cache(maxsize=256)
def _members(struct: type[msgspec.Struct]) -> tuple[tuple[str, str, Literal["address", "group"]], ...]:
    """The members of a structure that are addresses, or groups of members that have some."""
    members: list[tuple[str, str, Literal["address", "group"]]] = []
    info: Any = inspect.type_info(struct)
    for field in info.fields:
        types = list(types_of(field.type))
        if any(isinstance(type_, inspect.StrType) and type_.pattern in ADDRESS_PATTERNS for type_ in types):
            members.append((field.name, escape_pointer(field.encode_name), "address"))
        elif any(isinstance(type_, inspect.StructType) and _members(type_.cls) for type_ in types):
            members.append((field.name, escape_pointer(field.encode_name), "group"))
    return tuple(members)


def types_of(type_: inspect.Type) -> Iterator[inspect.Type]:
    """The types that a value, or an item of it, may have."""
    if isinstance(type_, inspect.Metadata):
        yield from types_of(type_.type)
    elif isinstance(type_, inspect.UnionType):
        for inner in type_.types:
            yield from types_of(inner)
    elif isinstance(type_, inspect.VarTupleType):
        yield from types_of(type_.item_type)
    else:
        yield type_
