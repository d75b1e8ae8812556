"""The client is a library: it loads the domain and an HTTP client, and nothing of the server."""

from __future__ import annotations

import subprocess
import sys

SERVER = {"litestar", "sqlalchemy", "asyncpg", "granian", "authlib", "alembic", "click", "prometheus_client"}


def loaded(module: str) -> set[str]:
    """The modules that a program has loaded which imports this one."""
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_client_loads_the_domain_and_nothing_of_the_server() -> None:
    modules = loaded("federation.client")
    rooms = {name.split(".")[1] for name in modules if name.startswith("federation.")}
    assert rooms == {"client", "domain"}
    assert not SERVER & modules
    assert "click" in loaded("click"), "it would be noticed"
