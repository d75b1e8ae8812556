"""What cannot be run here is at least well formed, and what is shipped names no host of a package index."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from federation.server import serve
from federation.settings.settings import Settings

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.txt", "requirements-dev.txt")


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return read


def test_the_compose_file_has_a_database_a_node_and_a_proxy() -> None:
    services, volumes = compose()["services"], compose()["volumes"]
    assert set(services) == {"database", "node", "proxy"}
    assert services["database"]["image"] == "${POSTGRES_IMAGE:-postgres:18}"
    assert "ports" not in services["node"], "only the proxy is reachable from outside"
    assert "ports" not in services["database"]
    for name, service in services.items():
        for volume in (volume.split(":")[0] for volume in service.get("volumes", ())):
            if volume.startswith("."):
                assert (ROOT / volume).exists(), f"{name}: {volume}"
            else:
                assert volume in volumes, f"{name}: {volume}"
        for needed in service.get("depends_on", ()):
            assert needed in services


def test_every_container_is_read_only_without_capabilities_and_within_limits() -> None:
    for name, service in compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else []), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert "/tmp" in {entry.partition(":")[0] for entry in service["tmpfs"]}, name  # noqa: S108 - in the container
        assert re.fullmatch(r"[0-9]+[mg]", service["mem_limit"]), name
        assert 0 < service["pids_limit"] <= 200, name
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert "privileged" not in service, name
        assert "network_mode" not in service, name


def test_the_proxy_does_not_reach_the_database() -> None:
    services, networks = compose()["services"], compose()["networks"]
    members = {network: {n for n, s in services.items() if network in s["networks"]} for network in networks}
    assert members == {"back": {"database", "node"}, "front": {"node", "proxy"}}
    assert networks["back"] == {"internal": True}


def test_every_image_can_be_pinned_by_its_digest() -> None:
    images = [service["image"] for service in compose()["services"].values() if "image" in service]
    images += compose()["services"]["node"]["build"]["args"].values()
    assert all(re.fullmatch(r"\$\{[A-Z]+_IMAGE:-[a-z]+:[0-9a-z.-]+\}", image) for image in images), images
    dockerfile = (ROOT / "Dockerfile").read_text()
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile, re.MULTILINE)
    assert f"${{PYTHON_IMAGE:-{base}}}" in images
    assert set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) == {"${PYTHON_IMAGE}"}


def test_the_compose_file_sets_only_settings_that_exist() -> None:
    known = {f"FEDERATION_{field.upper()}" for field in Settings.__struct_fields__}
    assert set(compose()["services"]["node"]["environment"]) <= known


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
        bare = re.sub(r"\{\$\w+(:[^}]*)?\}", "", line.split("#")[0])
        depth += bare.count("{") - bare.count("}")
        assert depth >= 0
    assert depth == 0


def test_the_proxy_notices_a_process_that_stops_and_ends_idle_connections_before_the_node() -> None:
    text = (ROOT / "Caddyfile").read_text()
    interval, timeout, idle = (
        int(re.search(rf"^\t+{name} ([0-9]+)s$", text, re.MULTILINE)[1])  # type: ignore[index]
        for name in ("health_interval", "health_timeout", "keepalive")
    )
    (drain,) = (f.default for f in msgspec.structs.fields(Settings) if f.name == "drain_seconds")
    assert 2 * interval + timeout <= drain
    assert idle * 1_000 < serve.HEADER_MILLISECONDS


def test_the_proxy_file_serves_the_node_of_the_compose_file_unless_others_are_named() -> None:
    text = (ROOT / "Caddyfile").read_text()
    port = compose()["services"]["node"]["environment"]["FEDERATION_PORT"]
    assert f"reverse_proxy {{$FEDERATION_NODES:node:{port}}} {{\n" in text


def lock(name: str) -> dict[str, str]:
    """The pins of a lock file with their hashes, by the names of the packages."""
    entries = re.split(r"\n(?=[a-zA-Z0-9])", (ROOT / name).read_text())
    # (Without markers: a tool may need on all systems what a node needs on one.)
    pins = (re.sub(r"\n +#.*| ; [^\\]+(?= \\)", "", entry).strip() for entry in entries)
    return {pin.partition("==")[0].lower(): pin for pin in pins}


def asked(*extras: str) -> set[str]:
    """The packages that the project names: to run, or in these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    requirements = [entry for extra in extras for entry in optional[extra]] or project["dependencies"]
    names = (re.split(r"[\[<>=!;]", requirement)[0].lower() for requirement in requirements)
    return {re.sub("[-_.]+", "-", name) for name in names}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_has_a_hash_for_everything_and_names_no_host(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "index-url" not in text
    assert len(lock(name)) > 50
    assert all("==" in entry and "--hash=sha256:" in entry for entry in lock(name).values())


def test_a_node_runs_with_what_the_project_needs_and_without_test_tools() -> None:
    runs = set(lock("requirements.txt"))
    assert asked() | asked("embedded", "build") <= runs
    assert not asked("dev") & runs
    assert len(runs) < 70


def test_the_tests_run_with_what_a_node_runs_with_and_tools() -> None:
    runs, tests = lock("requirements.txt"), lock("requirements-dev.txt")
    assert asked("dev") <= set(tests)
    assert {name: tests.get(name) for name in runs} == runs


def test_the_image_is_made_of_what_a_node_runs_with() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes -r requirements.txt" in dockerfile
    assert "requirements-dev" not in dockerfile
    assert "pip uninstall --yes setuptools pip" in dockerfile
    assert "--require-hashes -r requirements-dev.txt" in (ROOT / "Makefile").read_text()


def test_the_package_brings_its_data() -> None:
    for package, name in (
        ("federation.domain.territories", "communes.tsv.gz"),
        ("federation", "py.typed"),
        ("federation.api", "assets/swagger-ui-bundle.js"),
        ("federation.migrations", "versions/0001_first_tables.py"),
        ("federation.spec", "conformance/reader.mjs"),
    ):
        assert files(package).joinpath(*name.split("/")).is_file(), name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert {"federation", "federation.api", "federation.spec"} <= project["package-data"].keys()


def test_the_pages_of_the_api_load_nothing_from_another_host() -> None:
    page = files("federation.api").joinpath("assets", "docs.js").read_text()
    assert "//" not in page.replace("// ", "")
    css = files("federation.api").joinpath("assets", "swagger-ui.css").read_text()
    assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", css)
