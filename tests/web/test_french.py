"""Every text of a screen has its French, and the files have no text that is gone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import federation.web
from federation.web.language import french_texts, translate, translate_number
from federation.web.rendering import environment

ROOT = Path(federation.web.__file__).parent
MARKERS = ("t", "screen_text", "text")
"""Functions whose first argument is a text of a screen; ``text``: the method of a visit."""


def texts_of_templates() -> Iterator[tuple[str, str]]:
    made = environment("en")
    for file in sorted((ROOT / "templates").rglob("*.html")):
        where = str(file.relative_to(ROOT))
        for _, _, text in made.extract_translations(file.read_text(encoding="utf-8")):  # type: ignore[attr-defined]
            singular = text[0] if isinstance(text, tuple) else text
            if singular is not None:  # (None: a variable, whose text is marked where it is written)
                yield where, singular


def texts_of_code() -> Iterator[tuple[str, str]]:
    for file in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            text = node.args[0]
            if name in MARKERS and isinstance(text, ast.Constant) and isinstance(text.value, str):
                yield str(file.relative_to(ROOT)), text.value


def all_texts() -> dict[str, str]:
    return {text: where for where, text in (*texts_of_templates(), *texts_of_code())}


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%\((\w+)\)[sd]", text))


def test_every_text_of_a_screen_has_its_french() -> None:
    missing = {text: where for text, where in all_texts().items() if text not in french_texts()}
    assert not missing


def test_no_translation_is_left_of_a_text_that_is_gone() -> None:
    assert not set(french_texts()) - set(all_texts())


def test_a_translation_has_the_placeholders_of_its_text() -> None:
    for english, french in french_texts().items():
        for form in [french] if isinstance(french, str) else french:
            assert set(placeholders(form)) <= set(placeholders(english)), english
            assert isinstance(french, tuple) or placeholders(form) == placeholders(english), english


def test_french_has_the_singular_for_nothing_and_one() -> None:
    words = ("%(num)s point to correct", "%(num)s points to correct")
    assert [translate_number("fr", *words, number)[-2:] for number in (0, 1, 2)] == ["er", "er", "er"]
    assert [translate_number("fr", *words, number).split()[1] for number in (0, 1, 2)] == [
        "point", "point", "points",
    ]  # fmt: skip
    assert [translate_number("en", *words, number).split()[1] for number in (0, 1)] == ["points", "point"]
    assert translate("fr", "a text that nobody has translated") == "a text that nobody has translated"
