"""The register says its edition, finds bodies by number and postcode, and compares two editions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from federation.cli import main
from federation.domain.errors import CommandFailed
from federation.domain.territories import lookup
from federation.domain.territories.bodies import BOUNDARIES, VERSION, bodies, edition
from federation.domain.territories.make import SHIPPED, pack


def names(number: str) -> list[tuple[str, str]]:
    return [(found.by, found.body.name) for found in lookup.find(number)]


def test_a_body_is_found_by_each_of_its_numbers() -> None:
    for number, by in {
        "217100767": "siren",
        "21710076700029": "siret",
        "71076": "insee",
        "71 076": "insee",
    }.items():
        assert names(number) == [(by, "Chalon-sur-Saône")]
    assert names("247100589") == [("siren", "CA Le Grand Chalon")]
    assert names("2a004") == [("insee", "Ajaccio")]
    assert lookup.find("75101")[0].part == "arrondissement"
    assert lookup.find("74268")[0].part_name == "Seynod"


def test_a_postcode_is_that_of_several_communes_and_may_be_an_insee_code_too() -> None:
    found = names("71100")
    assert found[0] == ("insee", "Chardonnay")
    assert ("postcode", "Chalon-sur-Saône") in found
    assert len(found) == 6
    assert lookup.find("71076")[0].postcodes == ("71100",)
    assert "75116" in lookup.find("75056")[0].postcodes


@pytest.mark.parametrize("text", ["", "0", "99999", "999999999", "7107", "٧١٠٧٦", "71076\n1", "x" * 10_000])
def test_a_number_of_nobody_finds_nobody(text: str) -> None:
    assert lookup.find(text) == ()


def test_two_editions_are_compared_body_by_body() -> None:
    old = tuple(body for body in bodies() if body.region == "06")
    mayotte = [body for body in old if body.kind == "commune"]
    new = (
        *(body for body in old if body not in mayotte[:3]),
        msgspec.structs.replace(mayotte[1], name="Autre", population=1),
        msgspec.structs.replace(mayotte[2], population=2),
        msgspec.structs.replace(mayotte[0], cog="97699", siren=None),
    )
    compared = lookup.compare(old, new)
    assert compared.populations == 2
    changes = {change.code: change for change in compared.changes}
    assert changes.keys() == {mayotte[0].cog, mayotte[1].cog, "97699"}
    assert changes[mayotte[1].cog or ""].after == {"name": "Autre"}
    assert changes["97699"].before is None
    assert changes[mayotte[0].cog or ""].after is None
    assert lookup.compare(old, old) == lookup.Comparison((), 0)


@pytest.mark.parametrize(
    "text",
    [b"", b"kind\tname\n", b"\x1f\x8b", gzip.compress(b"x", mtime=0), SHIPPED.read_bytes()[:1_000], b"\xff"],
)
def test_a_file_that_is_no_register_is_refused(text: bytes) -> None:
    with pytest.raises(CommandFailed, match="x is no file of communes"):
        lookup.read_bodies(text, "x")


def test_a_file_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "MAX_FILE_BYTES", 1_000)
    with pytest.raises(CommandFailed, match="longer than 64 MiB"):
        lookup.read_bodies(SHIPPED.read_bytes(), "x")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["register", *arguments])
    return result.exit_code, result.output


def test_the_commands_show_the_edition_a_body_and_what_changed(tmp_path: Path) -> None:
    assert (VERSION in run()[1], BOUNDARIES in run()[1], edition() in run()[1]) == (True, True, True)
    assert json.loads(run("--json")[1])["communes"] == 34_969
    code, text = run("show", "71076")
    assert (code, text.split("\t")[3]) == (0, "Chalon-sur-Saône")
    assert json.loads(run("show", "74268", "--json")[1])[0]["part_name"] == "Seynod"
    assert run("show", "99999")[0] == 1
    assert run("show", "99999", "--json") == (0, "[]\n")
    few = tuple(body for body in bodies() if body.region == "06")
    for name, some in (("old", few), ("new", few[1:])):
        (tmp_path / name).write_bytes(pack(some))
    code, text = run("diff", str(tmp_path / "old"), str(tmp_path / "new"))
    assert (code, text.splitlines()) == (0, [f"- commune {few[0].cog} {few[0].name}", "0 populations differ"])
    assert (
        json.loads(run("diff", "--json", str(tmp_path / "old"), str(tmp_path / "new"))[1])["populations"] == 0
    )
    (tmp_path / "bad").write_bytes(b"x")
    assert run("diff", str(tmp_path / "old"), str(tmp_path / "bad"))[0] == 1
