"""The pictures of the documentation: small, one of each screen in both languages, and shown somewhere."""

from __future__ import annotations

import pytest

from federation.domain.messages import LANGUAGES
from tests.browser.pictures import MAX_BYTES, PICTURES, SCREENS
from tests.docs.blocks import DOCS


def test_each_screen_has_a_picture_in_both_languages_and_no_picture_is_left_over() -> None:
    if not PICTURES.exists():
        pytest.skip("there are no pictures: make pictures")
    expected = {f"{picture.name}.{language}.webp" for picture in SCREENS for language in LANGUAGES}
    assert {file.name for file in PICTURES.iterdir()} == expected
    assert all(file.stat().st_size <= MAX_BYTES for file in PICTURES.iterdir())


def test_the_documentation_shows_each_picture() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    for picture in SCREENS:
        for language in LANGUAGES:
            assert f"images/pages/{picture.name}.{language}.webp" in pages, (picture.name, language)
