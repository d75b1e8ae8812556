"""Directories for nodes, below a parent that only we may pass."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.processes import Node, living, until


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A directory whose parents no other account may pass, like /root."""
    closed = tmp_path / "closed"
    closed.mkdir(0o700)
    return closed


@pytest.fixture
def directory(closed: Path) -> Iterator[Path]:
    """A directory for a new node."""
    yield closed / "node"
    until(lambda: not living(closed / "node"))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a node that has already been: its cluster is made once."""
    home = tmp_path_factory.mktemp("home") / "node"
    node = Node(home)
    node.keeps(1)
    assert node.leave() == "left"
    return home


@pytest.fixture
def lived(home: Path) -> Iterator[Path]:
    """`home`, in which every test leaves no process behind."""
    yield home
    until(lambda: not living(home))
