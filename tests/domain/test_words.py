"""Words of texts and of searches, before PostgreSQL reads them."""

from __future__ import annotations

import pytest

from federation.domain.words import (
    correctable_words,
    dictionary_words,
    plain_words,
    search_words,
    without_accents,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("demarches-simplifiees.fr", "demarches simplifiees fr"),
        ("Eau/Assainissement", "Eau Assainissement"),
        ("plan-2025, v1.5e3", "plan 2025 1 5e3 v1"),
        ("GLPI v10.0.18, PES V2, ipv4.0 V3.", "GLPI 10 0 18 PES V2 ipv4 0 V3 v10"),
        ("l'état-civil d’aujourd'hui", "l état civil d aujourd hui"),
        ("contact@mairie.example.org https://x.fr/a?b=c#d", "contact mairie example org https x fr a b c d"),
        ("<usager> &amp; a_b", "usager amp a b"),
        ("CVE-2099-10001", "CVE 2099 10001"),
        ("oﬃce m² Nº5", "office m2 No5"),
        ("cœur de ville", "cœur de ville"),
        ("péri\u00adscolaire \ufeffGLPI\u200d", "périscolaire GLPI"),
        ("zero\u200bwidth", "zero width"),
        ("", ""),
    ],
)
def test_a_text_is_letters_and_digits_with_spaces(text: str, words: str) -> None:
    assert plain_words(text) == words


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("démarches simplifiées", "démarches simplifiées"),
        ("demarches-simplifiees.fr", '"demarches simplifiees fr"'),
        ("état-civil", '"état civil"'),
        ("e\u0301tat-civil", '"état civil"'),
        ("eau/assainissement", "eau assainissement"),
        ("CVE-2099", '"CVE 2099"'),
        ("l'état", '"l état"'),
        ("voice -répondeurs", "voice -répondeurs"),
        ("voice -rendez-vous", 'voice -"rendez vous"'),
        ("-eau/air", '-"eau air"'),
        ('-"suite bureautique" x', '-"suite bureautique" x'),
        ('"suite bureautique"', '"suite bureautique"'),
        ('"suite', "suite"),
        ("démarche or bureautique", "démarche or bureautique"),
        ('"or" _or_', '"or" "or"'),
        ("démarche OR or bureautique", "démarche or bureautique"),
        ("démarche or", "démarche"),
        ("or démarche", "démarche"),
        ("Or", '"or"'),
        ("or OR", '"or"'),
        ("glpi V10.0.18", 'glpi "10 0 18"'),
        ("âge d'or", 'âge "d or"'),
        ("!?&|:*()' -- - \" -'", ""),
        ("a & b | !c", "a b c"),
        ("'; DROP TABLE records; --", "DROP TABLE records"),
    ],
)
def test_a_search_is_words_phrases_and_exclusions(question: str, words: str) -> None:
    assert search_words(question) == words


def test_a_search_that_was_read_is_read_the_same_again() -> None:
    for question in ('état-civil -a.b or "c d" l\'eau', '-"x y" z-1', "or or", '"or"'):
        assert search_words(search_words(question)) == search_words(question)


def test_words_that_may_be_misspelt_are_long_ones_that_are_not_excluded() -> None:
    words = search_words("assainisement -exclus RH 2025 état-civile")
    assert [word.plain for word in correctable_words(words)] == ["assainisement", "etat", "civile"]
    assert [words[word.start : word.end] for word in correctable_words(words)] == [
        "assainisement", "état", "civile",
    ]  # fmt: skip
    assert len(correctable_words("mots " * 50)) == 4
    assert correctable_words("assainisement or piscine") == []


def test_the_dictionary_has_words_without_accents_and_as_they_are_written() -> None:
    assert dict(dictionary_words("Démarches et l eau", "Cœurs 2025 GLPI10")) == {
        "demarches": "démarches",
        "coeurs": "cœurs",
    }
    assert without_accents("ÆŒÇÉ") == "aeoece"
