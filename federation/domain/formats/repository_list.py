"""Lists of repositories: each is an address of a publiccode.yml, or of a repository that may have one.

A list is a text with an address a line (``#`` begins a comment), a list in JSON or YAML of addresses or of
objects that have one (``url``, ``web_url``, ``html_url``, ``raw``), or the answer of a forge that lists
projects: ``/api/v4/groups/NAME/projects`` of GitLab, ``/orgs/NAME/repos`` of GitHub,
``/api/v1/orgs/NAME/repos`` of Forgejo. Projects that a forge calls archived are left out, and reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from federation.domain.canonical import check_depth
from federation.domain.errors import Invalid
from federation.domain.formats.foreign_values import clean_url, repository_url
from federation.domain.formats.repository import FLAT_FORGES, parse_address
from federation.domain.formats.yaml_reading import read_yaml
from federation.domain.sources.reading import ReadingFault

MAX_LIST_BYTES = 8 * 1_048_576
"""Bytes of a list, at most."""
MAX_REPOSITORIES = 2_000
"""Repositories of a list, at most: each is a request."""
FILE = "publiccode.yml"
_FILES = re.compile(r"(?:^|/)[^/]*publiccode[^/]*\.ya?ml$", re.IGNORECASE)
_MEMBERS = ("raw", "publiccode", "url", "web_url", "html_url", "repository")
_GROUPS = ("projects", "repositories", "repos", "software", "data", "items")
_REVISION = re.compile(r"[A-Za-z0-9._/-]{1,100}")


class ListedRepository(msgspec.Struct, frozen=True):
    """A repository of a list."""

    file: str
    """The address of its publiccode.yml."""
    repository: str | None
    """The address of the repository; None where the list has that of the file alone."""
    place: str


class RepositoryList(msgspec.Struct, frozen=True):
    """The repositories of a list, each once, and the lines that are none."""

    repositories: tuple[ListedRepository, ...]
    faults: tuple[ReadingFault, ...] = ()


def read_repository_list(raw: bytes) -> RepositoryList:
    """Raises Invalid for what is no list of repositories."""
    if len(raw) > MAX_LIST_BYTES:
        raise Invalid("the file has more than {maximum} bytes", maximum=MAX_LIST_BYTES)
    found: dict[str, ListedRepository] = {}
    faults: list[ReadingFault] = []
    for place, entry in _entries(raw):
        if len(found) + len(faults) >= MAX_REPOSITORIES:
            raise Invalid("the list has more than {maximum} repositories", maximum=MAX_REPOSITORIES)
        try:
            listed = _listed(entry, place)
        except Invalid as error:
            faults.append(ReadingFault(place, error.detail))
            continue
        if listed.file in found:
            faults.append(
                ReadingFault(place, Invalid("the source has it twice; the first entry counts").detail)
            )
        found.setdefault(listed.file, listed)
    if not found and not faults:
        raise Invalid("the list names no repository")
    return RepositoryList(tuple(found.values()), tuple(faults))


def _entries(raw: bytes) -> Iterator[tuple[str, Any]]:
    """The entries of a list in any of its forms, each with its place."""
    start = raw.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start in (b"[", b"{"):
        yield from _of_list(_decode(raw))
        return
    lines = raw.decode(errors="replace").removeprefix("\ufeff").splitlines()
    stripped = [line.partition(" #")[0].strip() for line in lines]
    if all(not line or line.startswith("#") or "://" in line.split()[0] for line in stripped):
        for number, line in enumerate(stripped, 1):
            if line and not line.startswith("#"):
                yield f"line {number}", line.split()[0]
        return
    yield from _of_list(read_yaml(raw).value)


def _decode(raw: bytes) -> Any:
    check_depth(raw)
    try:
        return msgspec.json.decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("it is not a list of repositories in JSON") from None


def _of_list(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        name = next((name for name in _GROUPS if isinstance(value.get(name), list)), None)
        if name is None:
            raise Invalid("it is not a list of repositories")
        yield from ((f"{name}[{index}]", entry) for index, entry in enumerate(value[name]))
    elif isinstance(value, list):
        yield from ((f"[{index}]", entry) for index, entry in enumerate(value))
    else:
        raise Invalid("it is not a list of repositories")


def _listed(entry: Any, place: str) -> ListedRepository:
    """Raises Invalid."""
    branch = None
    if isinstance(entry, Mapping):
        if entry.get("archived") is True:
            raise Invalid("the repository is archived")
        branch = entry.get("default_branch")
        entry = next((entry[name] for name in _MEMBERS if isinstance(entry.get(name), str)), None)
    if not isinstance(entry, str):
        raise Invalid("it names no repository that a record may have")
    if (url := clean_url(entry)) is not None and _FILES.search(url.partition("?")[0]):
        return ListedRepository(url, None, place)
    repository = repository_url(entry)
    if repository is None:
        raise Invalid("it names no repository that a record may have")
    return ListedRepository(raw_url(repository, branch), repository, place)


def raw_url(repository: str, branch: Any = None) -> str:
    """The address of the publiccode.yml in the root of a repository, as its forge serves files.

    ``branch``: HEAD where none is named. A forge that is not known is taken for a GitLab, as most of
    administrations are.
    """
    revision = branch if isinstance(branch, str) and _REVISION.fullmatch(branch) else "HEAD"
    address = parse_address(repository)
    host, path = (address.host, address.path) if address else ("", "")
    page = repository.partition("?")[0].partition("#")[0].rstrip("/").removesuffix(".git")
    if host == "github.com":
        return f"https://raw.githubusercontent.com/{_own_path(page, path)}/{revision}/{FILE}"
    if host in FLAT_FORGES:
        return f"{page}/raw/{revision}/{FILE}"
    return f"{page}/-/raw/{revision}/{FILE}"


def _own_path(page: str, path: str) -> str:
    """Owner and name as they are written: names of files have a case, where the compared form has none."""
    written = page.partition("://")[2].partition("/")[2].split("/")[:2]
    return "/".join(written) if "/".join(written).lower() == path else path
