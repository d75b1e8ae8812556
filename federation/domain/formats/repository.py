"""Addresses of repositories and of other pages, each in one form (RFC 3986, 6.2).

``git@host:o/r.git``, ``ssh://git@host:22/o/r``, ``HTTPS://Host/o/r/-/tree/main`` and ``https://host/o/r`` are
one repository. User and password of an address (RFC 3986, 3.2.1) are no part of that form.

At a forge the page of a group looks like that of a repository, and holds many products. At forges where an
owner has repositories and nothing else the number of segments tells them apart; elsewhere only the address of
a clone, or of a page within the repository, does.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec

MAX_URL_CHARACTERS = 2_048
"""Characters of an address that is read."""
FLAT_FORGES = frozenset({"github.com", "bitbucket.org", "codeberg.org", "git.sr.ht"})
"""Forges where a repository is always OWNER/NAME."""
PURL_FORGES = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}
"""Forges by the type of their package URLs, and by the short form ``github:owner/name``."""

_HOSTS = {
    "ssh.github.com": "github.com",
    "raw.githubusercontent.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}
"""Second names of forges."""
_PORTS = {"http": (80,), "https": (443,)}
_WEB = frozenset({"http", "https", "git+http", "git+https"})
_CLONE = frozenset({"git", "ssh", "git+ssh", "ssh+git"})
_SCP = re.compile(r"[A-Za-z0-9._+-]+@([^\s/:@\[\]]+):(?!//)/*(\S+)")
_PATH_AS_PORT = re.compile(r"((?:git\+)?ssh://[^/:\[\]]*):(?=[^0-9/])", re.IGNORECASE)
"""``ssh://git@host:owner/name``, a mixture of two forms that many tools write."""
_LISTINGS = frozenset(
    {
        "groups", "users", "orgs", "organizations", "topics", "explore", "dashboard", "sponsors",
        "collections", "search", "marketplace", "features", "settings", "login", "stars", "notifications",
    }
)  # fmt: skip
"""First segments of pages that list many repositories, or are of the forge itself."""
_FILES = frozenset({"tree", "blob", "raw", "blame", "commit", "commits", "src"})
"""Pages that a repository alone has: they show its files, so that a name of these follows."""
_SOURCES = frozenset({"branch", "commit", "tag"})
"""Segments after ``src`` (Forgejo, Gitea); a repository may have that name elsewhere."""
_PAGES = _FILES | {
    "issues", "pull", "pulls", "merge_requests", "wiki", "wikis", "releases", "tags", "branches", "actions",
    "milestones", "labels", "pipelines", "compare", "archive", "activity", "discussions", "network", "graphs",
}  # fmt: skip
_NOISE = re.compile(
    r"(?:^|[&;])(?:ref_type|tab|utm_[a-z]+|[a-z_-]*(?:token|signature|secret|api_?key|passwd|password|jwt))=[^&;]*"
)
"""Parameters that do not matter, and secrets in the records of others: an address is shown as a reason."""


class Address(msgspec.Struct, frozen=True):
    """An address in the one form in which it is compared."""

    host: str
    """In small letters, in ASCII, with the port where it is not the usual one."""
    path: str
    query: str = ""
    is_repository: bool = False
    """True where its form alone says that it is one repository."""

    @property
    def url(self) -> str:
        return f"https://{self.host}/{self.path}{f'?{self.query}' if self.query else ''}"


def parse_address(text: str) -> Address | None:
    """The address of a repository or page; None for one that cannot be read, or lists many products."""
    text = text.strip()
    if len(text) > MAX_URL_CHARACTERS:
        return None
    text = text.removeprefix("scm:git:")  # as Maven writes it
    if scp := _SCP.fullmatch(text):
        text = f"ssh://{scp[1]}/{scp[2]}"
    scheme, _, rest = text.partition(":")
    if scheme.lower() in PURL_FORGES and not rest.startswith("//"):
        text = f"git://{PURL_FORGES[scheme.lower()]}/{rest}"
    try:
        parts = urlsplit(_PATH_AS_PORT.sub(r"\1/", text, count=1))
        host = _host(parts)
    except ValueError:
        return None
    if host is None or parts.scheme not in _WEB | _CLONE:
        return None
    segments = _segments(parts.path)
    query = _NOISE.sub("", parts.query.lower()).strip("&;")
    if host in FLAT_FORGES:
        if len(segments) < 2 or segments[0] in _LISTINGS:
            return None
        return Address(host, f"{segments[0]}/{_name(segments[1])}", is_repository=True)
    if segments and segments[0] in _LISTINGS:
        return None
    if not segments and not query:
        return None  # a front page stands for many products
    segments, is_repository = _repository(segments)
    if host == "gitlab.com" and len(segments) < 2:
        return None
    if is_repository:
        query = ""  # it is of the page within the repository
    return Address(host, "/".join(segments), query, is_repository or parts.scheme in _CLONE)


def _host(parts: SplitResult) -> str | None:
    """The host in one form. Raises ValueError for one that is none."""
    name = unquote(parts.hostname or "").rstrip(".")
    if not name or len(name) > 253:
        return None
    if not name.isascii():
        name = name.encode("idna").decode()
    name = name.lower().removeprefix("www.")
    name = _HOSTS.get(name, name)
    port = parts.port
    # The port of ssh or git says nothing about the address on the web.
    usual = port is None or parts.scheme in _CLONE or port in _PORTS[parts.scheme.removeprefix("git+")]
    return name if usual else f"{name}:{port}"


def _segments(path: str) -> list[str]:
    segments: list[str] = []
    for segment in unquote(path).lower().split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in ("", "."):
            segments.append(quote(segment, safe="~@:+,;=!$&'()*"))
    return segments


def _name(segment: str) -> str:
    """The name of a repository without the endings of its clone, and of that of its wiki."""
    return segment.removesuffix(".git").removesuffix(".wiki")


def _repository(segments: list[str]) -> tuple[list[str], bool]:
    """The segments as far as the repository; True where what follows shows that it is one."""
    if len(segments) >= 4 and (segments[0], segments[2]) == ("projects", "repos"):
        return ["scm", segments[1], segments[3]], True  # Bitbucket Data Center clones from there
    for index, segment in enumerate(segments):
        if segment.endswith(".git") and segment != ".git":
            return [*segments[:index], _name(segment)], True
        if segment == "-" and index:
            return segments[:index], index > 1
        following = segments[index + 1 : index + 2]
        if segment in _FILES and (not following or (segment == "src" and following[0] not in _SOURCES)):
            continue  # the name of a repository
        if (index > 1 and segment in _PAGES) or (index == 1 and segment == "tree" and len(segments) == 3):
            return segments[:index], segment in _FILES and index > 1
    return segments, False
