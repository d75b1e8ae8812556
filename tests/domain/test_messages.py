"""Every message that a caller of the API can meet has words in each language."""

from __future__ import annotations

import ast
import re
import string
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import federation
from federation.domain import errors, expected
from federation.domain.errors import Invalid, Refused
from federation.domain.faults import FAULT_CODES
from federation.domain.messages import LANGUAGES, Message, counted
from federation.domain.rules import RULES
from federation.edge.statuses import TITLES
from federation.edge.weights import language_of

ROOT = Path(federation.__file__).parent
ROOMS = ("api", "domain", "edge", "node", "outbound", "server", "store", "web")
NOT_ANSWERED = {
    "domain/checkpoint.py", "domain/entry.py", "domain/invitation.py", "domain/record.py",
    "domain/record_reading.py", "domain/rejection.py", "node/alert_delivery.py", "outbound/mail.py",
}  # fmt: skip
"""Reasons that are noted of peers' entries, of mail and of webhooks; and readers of advisories, whose reports
are in English."""
FORMATS_IN_FRENCH = (
    "spdx", "monitoring", "csaf_provider", "osv_changes", "cve_deltas", "sheets/", "spreadsheets", "columns",
    "glpi", "decp", "yaml_reading", "solution_items", "publiccode", "sill", "comptoir", "open_catalog",
    "repository_list", "software_catalogues",
)  # fmt: skip
"""Readers whose messages people meet: callers of the API, and those who import a file."""
TEMPLATES = {"template", "rule", "_NOT_LISTED", "_COUNTING"}
"""Names under which a module has a template before it is used."""


def kinds(kind: type[Refused] = Refused) -> Iterator[type[Refused]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from kinds(inner)


RAISED = {kind.__name__ for kind in kinds()} | {
    "RuleBroken",
    "Message",
    "CellProblem",
    "TransferFailed",
    "NoAnswer",
}


def sources() -> Iterator[Path]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name not in NOT_ANSWERED and (
                not name.startswith("domain/formats/") or any(word in name for word in FORMATS_IN_FRENCH)
            ):
                yield path


def texts_of(tree: ast.AST) -> Iterator[ast.expr]:
    """The templates of a module: first arguments of refusals and messages, third of ``refuse``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            function = node.func
            name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
            if name in RAISED:
                yield node.args[0]
            elif name == "refuse" and len(node.args) > 2:
                yield node.args[2]
        elif isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and (target.id in TEMPLATES or target.id.endswith("_TEMPLATE"))
            for target in node.targets
        ):
            yield node.value


@cache
def templates() -> dict[str, str]:
    """Every template, and the module that has it."""
    found = {}
    for path in sources():
        for text in texts_of(ast.parse(path.read_text())):
            if isinstance(text, ast.Constant) and isinstance(text.value, str):
                found[text.value] = path.relative_to(ROOT).as_posix()
    for kind in kinds():
        found[kind.title] = "domain/errors.py"
    for title in TITLES.values():
        found[title] = "api/problem_details.py"
    for _, words in expected._TYPES:
        found[words] = "domain/expected.py"
    for *_, words in expected._MEMBERS:
        found[words] = "domain/expected.py"
    for form in ("an object", "an array", "a text", "an integer", "a number", "true or false", "null"):
        found[form] = "domain/json_forms.py"
    found |= dict.fromkeys(("requests", "waits"), "edge/shares.py")
    found["another writer came first; nothing was changed, try again"] = "domain/errors.py"
    return found


@cache
def french() -> dict[str, str]:
    table = tomllib.loads((ROOT / "domain/french.toml").read_text())
    return {english: words for section in table.values() for english, words in section.items()}


def values_of(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def test_every_message_has_french_words() -> None:
    missing = {text: module for text, module in templates().items() if text not in french()}
    assert not missing


def test_no_french_words_are_for_a_message_that_is_gone() -> None:
    assert not set(french()) - set(templates())


def test_a_translation_has_the_values_of_its_template() -> None:
    for english, words in french().items():
        if "{" in english and "< >" not in english:  # (one speaks of braces)
            assert values_of(words) == values_of(english), english


def test_no_message_has_its_values_in_it_already() -> None:
    """An f-string cannot be translated: ``Invalid("more than {maximum}", maximum=…)`` can."""
    for path in sources():
        for text in texts_of(ast.parse(path.read_text())):
            assert not isinstance(text, ast.JoinedStr), f"{path}:{text.lineno}"


def test_a_message_is_the_same_sentence_in_each_language() -> None:
    inner = Message("in capital letters: {text}", {"text": "FR"})
    message = Message("expected {expected}; {hint}", {"expected": Message("a text"), "hint": inner})
    assert str(message) == message.to_text("en") == "expected a text; in capital letters: FR"
    assert message.to_text("fr") == "attendu : un texte ; en majuscules : FR"
    assert Message("nobody translated {this}").to_text("fr") == "nobody translated {this}"


def test_braces_in_a_value_are_no_template() -> None:
    refusal = Invalid("{name} is missing", name="{0.__class__}")
    assert refusal.detail == "{0.__class__} is missing"
    assert Invalid("{0.__class__}").detail == "{0.__class__}"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"), ("", "en"), ("fr", "fr"), ("FR-fr", "fr"), ("en", "en"), ("de", "en"), ("*", "en"),
        ("fr, en", "fr"), ("en, fr", "en"), ("fr;q=0.2, en;q=0.8", "en"), ("de, fr;q=0.5, en;q=0.1", "fr"),
        ("fr;q=0", "en"), ("fr;q=x", "en"), ("fr;q=2", "en"), ("français", "en"), (",;,", "en"),
        ("de," * 10_000 + "fr", "en"),
    ],
)  # fmt: skip
def test_the_language_is_the_one_that_the_caller_ranks_first(header: str | None, language: str) -> None:
    assert language_of(header) == language
    assert language in LANGUAGES


def test_codes_and_rules_are_published_once() -> None:
    assert len(set(FAULT_CODES)) == len(FAULT_CODES)
    assert list(RULES) == list(range(1, len(RULES) + 1))
    source = "".join(path.read_text() for path in (ROOT / "domain").rglob("*.py"))
    named = {int(number) for number in re.findall(r"(?:number|rule)=([0-9]+)\b", source)}
    assert set(range(1, 23)) <= named <= set(RULES)
    assert errors.Refused.code == "refused"


@pytest.mark.parametrize(
    ("number", "english", "french"),
    [(0, "0 bodies", "0 organisme"), (1, "1 body", "1 organisme"), (2, "2 bodies", "2 organismes")],
)
def test_a_number_agrees_with_what_it_counts(number: int, english: str, french: str) -> None:
    assert counted("en", number, "body", "bodies") == english
    assert counted("fr", number, "organisme", "organismes") == french


def test_thousands_are_apart() -> None:
    assert counted("fr", 1_212, "poste", "postes") == "1\N{NARROW NO-BREAK SPACE}212 postes"
