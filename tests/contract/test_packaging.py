"""What cannot be run here is at least well formed, and what is shipped names no host of a package index."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from federation import settings

ROOT = Path(__file__).parents[2]


def test_the_compose_file_has_a_database_a_node_and_a_proxy() -> None:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    assert set(compose["services"]) == {"database", "node", "proxy"}
    assert compose["services"]["database"]["image"] == "postgres:18"
    assert "ports" not in compose["services"]["node"], "only the proxy is reachable from outside"
    assert "ports" not in compose["services"]["database"]
    for name, service in compose["services"].items():
        volumes = [volume.split(":")[0] for volume in service.get("volumes", ())]
        for volume in volumes:
            if volume.startswith("."):
                assert (ROOT / volume).exists(), f"{name}: {volume}"
            else:
                assert volume in compose["volumes"], f"{name}: {volume}"
        for needed in service.get("depends_on", ()):
            assert needed in compose["services"]


def test_the_compose_file_sets_only_settings_that_exist() -> None:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    known = {f"FEDERATION_{field.upper()}" for field in settings.Settings.__struct_fields__}
    assert set(compose["services"]["node"]["environment"]) <= known


def test_the_image_runs_as_nobody_in_particular() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    users = re.findall(r"^USER (\S+)$", dockerfile, re.MULTILINE)
    assert users
    assert all(user not in ("root", "0") for user in users)
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE):
        for name in source.split():
            assert (ROOT / name).exists(), name


def test_the_braces_of_the_proxy_file_match() -> None:
    depth = 0
    for line in (ROOT / "Caddyfile").read_text().splitlines():
        bare = re.sub(r"\{\$\w+\}", "", line.split("#")[0])
        depth += bare.count("{") - bare.count("}")
        assert depth >= 0
    assert depth == 0


def test_the_lock_file_has_a_hash_for_everything_and_names_no_host() -> None:
    lock = (ROOT / "requirements.txt").read_text()
    assert "://" not in lock
    assert "index-url" not in lock
    entries = [entry for entry in re.split(r"\n(?=[a-zA-Z0-9])", lock) if "==" in entry]
    assert len(entries) > 50
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_lock_file_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["embedded"]]
    lock = (ROOT / "requirements.txt").read_text().lower()
    for requirement in asked:
        name = re.split(r"[\[<>=!;]", requirement)[0].lower()
        assert f"\n{name}==" in f"\n{lock}", name


def test_the_package_brings_its_data() -> None:
    for package, name in (
        ("federation.domain.territories", "communes.tsv.gz"),
        ("federation.api", "assets/swagger-ui-bundle.js"),
        ("federation.migrations", "versions/0001_first_tables.py"),
    ):
        assert files(package).joinpath(*name.split("/")).is_file(), name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "federation.api" in project["package-data"]


def test_the_pages_of_the_api_load_nothing_from_another_host() -> None:
    page = files("federation.api").joinpath("assets", "docs.js").read_text()
    assert "//" not in page.replace("// ", "")
    css = files("federation.api").joinpath("assets", "swagger-ui.css").read_text()
    assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", css)
