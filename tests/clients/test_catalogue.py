"""The clients without running them: exact versions, whole stories, and names."""

from __future__ import annotations

import json
import re

import pytest

from tests.clients import __main__ as runner
from tests.clients.catalogue import CLIENTS, STEPS, Client
from tests.clients.pages import page_of, shown
from tests.clients.stored import same_moment
from tests.clients.tools import HERE, PACKAGES

EXACT = re.compile(r"[0-9]+(\.[0-9]+)+")
HOST = re.compile(r"https?://|\.org/|\.com/")


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_story_reports_every_step(client: Client) -> None:
    story = client.source.read_text()
    reported = re.findall(r"""(?:print|console\.log|fmt\.Println)\(f?["`'](\w+): """, story)
    assert reported == list(STEPS)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_the_page_shows_the_command_and_a_part_of_the_story(client: Client) -> None:
    section = page_of(client)
    assert client.generate[0] in section
    assert shown(client) in section
    assert 15 <= len(shown(client).splitlines()) <= 45


def test_six_clients_publish_under_keys_of_their_own() -> None:
    assert len(CLIENTS) == 6
    assert len({client.name for client in CLIENTS}) == len({client.prefix for client in CLIENTS}) == 6
    assert {program for client in CLIENTS for program in client.needs} == {"node", *PACKAGES}


def test_what_is_installed_has_exact_versions_and_hashes_and_names_no_host() -> None:
    package = json.loads((HERE / "package.json").read_text())
    named = {**package["dependencies"], **package["devDependencies"]}
    assert named
    assert all(EXACT.fullmatch(version) for version in named.values()), named
    lock = json.loads((HERE / "package-lock.json").read_text())
    libraries = {name: about for name, about in lock["packages"].items() if name}
    assert all("integrity" in about and "resolved" not in about for about in libraries.values())
    requirements = (HERE / "requirements.txt").read_text()
    assert len(re.findall(r"^[\w.-]+==\S+", requirements, re.MULTILINE)) > 10
    assert "--hash=sha256:" in requirements
    assert not HOST.search(requirements)


def test_a_family_or_a_client_can_be_chosen_and_nothing_unknown() -> None:
    assert [client.name for client in runner.chosen(["go"])] == ["go"]
    assert {client.family for client in runner.chosen(["python"])} == {"python"}
    assert runner.chosen([]) == list(CLIENTS)
    with pytest.raises(SystemExit, match="there is no such client"):
        runner.chosen(["cobol"])


def test_a_moment_is_compared_by_its_second_in_utc() -> None:
    assert same_moment("2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z")
    assert same_moment("2026-03-01T08:00:00.000Z", "2026-03-01T08:00:00Z")
    assert not same_moment("2026-03-01T10:00:00+02:00", "2026-03-01T08:00:00Z")
    assert not same_moment("2026-03-01T08:00:01Z", "2026-03-01T08:00:00Z")
    assert not same_moment(None, "2026-03-01T08:00:00Z")
