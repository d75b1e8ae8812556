"""The examples of "Use the API from your own programs", run as they are written against a real node."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from federation.node.node import Node
from tests.docs.blocks import DOCS
from tests.docs.test_tutorial import LONGEST, follow, keeps
from tests.nodejs import lacking
from tests.nodes import a_client, served

PAGE = DOCS / "how-to" / "use-the-api.md"
_FENCE = re.compile(r"^```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """A block of code, and what the page says it prints."""

    code: str
    promised: str


def examples(page: str, language: str) -> list[Example]:
    """The blocks in a language, each with the ``text`` block that follows it."""
    found: list[Example] = []
    fresh = False
    for block in _FENCE.finditer(page):
        if block["language"] == language:
            found.append(Example(block["text"], ""))
            fresh = True
        else:
            if block["language"] == "text" and fresh:
                found[-1] = found[-1]._replace(promised=block["text"])
            fresh = False
    return found


@pytest.fixture
async def environment(dsn: str, arnia: Node, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A node with a client, as the page wants them."""
    client_id, secret = await a_client(arnia, "solutions.read", "solutions.write", "changes.read")
    async with served("arnia", dsn, sync=False) as url:
        for name, value in (("NODE", url), ("CLIENT", client_id), ("SECRET", secret), ("NO_PROXY", "*")):
            monkeypatch.setenv(name, value)
        yield


async def test_the_examples_for_curl_do_what_they_promise(environment: None, tmp_path: Path) -> None:
    await asyncio.to_thread(follow, PAGE, tmp_path)


def run_python(page: str) -> None:
    """Run the blocks one after the other, as ``python -m asyncio`` does."""
    names: dict[str, Any] = {}
    with asyncio.Runner() as runner, ExitStack() as stack:
        stack.callback(lambda: runner.run(names["client"].aclose()) if "client" in names else None)
        for number, example in enumerate(examples(page, "python"), 1):
            printed: list[str] = []
            names["print"] = lambda *values: printed.append(" ".join(map(str, values)) + "\n")  # noqa: B023
            code = compile(example.code, f"block {number}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            awaited = eval(code, names)  # noqa: S307 - the code of a page of ours
            if inspect.iscoroutine(awaited):
                runner.run(asyncio.wait_for(awaited, LONGEST))
            assert keeps(example.promised, "".join(printed)), (example, printed)


async def test_the_examples_for_python_do_what_they_promise(environment: None) -> None:
    page = PAGE.read_text()
    assert len(examples(page, "python")) > 6
    await asyncio.to_thread(run_python, page)


async def test_the_examples_for_javascript_do_what_they_promise(environment: None, tmp_path: Path) -> None:
    if (reason := lacking((20, 0))) is not None:
        pytest.skip(reason)
    found = examples(PAGE.read_text(), "js")
    assert len(found) > 5
    story = tmp_path / "story.mjs"
    story.write_text("\n".join(example.code for example in found) + "\nprocess.exit(0);\n")
    done = await asyncio.to_thread(
        subprocess.run,
        ["node", str(story)],
        capture_output=True,
        text=True,
        timeout=LONGEST,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
    assert keeps("…".join(example.promised for example in found if example.promised), done.stdout), (
        done.stdout
    )


def test_each_language_tells_the_same_story() -> None:
    page = PAGE.read_text()
    steps = (
        "Publish",
        "Change it, if nobody else has",
        "Publish many",
        "List to the end",
        "Follow the changes",
    )
    for part in re.split(r"^## With ", page, flags=re.MULTILINE)[1:]:
        headings = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert [heading for heading in headings if heading in steps] == list(steps)


def test_a_broken_promise_of_a_block_is_noticed() -> None:
    assert examples("```python\nx\n```\n```text\ny\n```\n```python\nz\n```\n", "python") == [
        Example("x\n", "y\n"),
        Example("z\n", ""),
    ]
    with pytest.raises(AssertionError):
        run_python("```python\nimport asyncio\nprint(await asyncio.sleep(0, 1))\n```\n```text\n2\n```\n")
