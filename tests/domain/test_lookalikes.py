"""Texts that people take for each other have one skeleton, and ids one letter apart are noticed."""

from __future__ import annotations

import pytest

from federation.domain.lookalikes import LookAlike, Party, look_alikes, one_apart, skeleton


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("arn1a", "arnia"), ("arnla", "arnia"), ("amia", "arnia"), ("ar-nia", "arnia"),
        ("reg1on.0", "region-o"),
        ("ARNIA", "arnia"), ("\uff41\uff52\uff4e\uff49\uff41", "arnia"), ("Mégalis", "Megalis"),
        ("\u0430rnia", "arnia"), ("\u0410RNIA", "arnia"), ("rec\u0456a", "recia"), ("\u03b1rnia", "arnia"),
        ("\u039degalis", "negalis"), ("\u0397ub", "hub"), ("L'ARNia", "L\u2019ARNIA"),
        ("arn\u200bia", "arnia"),
        ("soluris", "so\u0142uris"), ("vvest", "west"),
    ],
)  # fmt: skip
def test_texts_that_look_alike_have_one_skeleton(text: str, like: str) -> None:
    assert text != like
    assert skeleton(text) == skeleton(like)


@pytest.mark.parametrize(
    ("text", "other"),
    [("arnia", "recia"), ("arnia", "arnica"), ("cdg35", "cdg36"), ("megalis", "megalys"), ("", "a")],
)
def test_other_texts_have_other_skeletons(text: str, other: str) -> None:
    assert skeleton(text) != skeleton(other)


@pytest.mark.parametrize(
    ("first", "second", "near"),
    [
        ("megalis", "megalys", True), ("megalis", "megalis2", True), ("megalis", "xmegalis", True),
        ("megalis", "megals", True), ("megalis", "meaglis", True), ("megalis", "megalsi", True),
        ("megalis", "megalis", False), ("megalis", "magelis", False), ("megalis", "megalisxx", False),
        ("megalis", "mgeails", False), ("cdg35", "cdg36", False), ("cdg35", "cdg3x", True),
        ("cdg3", "cdgx", False), ("sdis4", "sdis44", True),
    ],
)  # fmt: skip
def test_ids_one_letter_apart_are_near_and_numbers_are_not(first: str, second: str, near: bool) -> None:
    assert one_apart(first, second) is near
    assert one_apart(second, first) is near


def test_each_operator_has_its_look_alikes_and_most_have_none() -> None:
    alike = look_alikes(
        [
            Party("arnia", "L'ARNia"),
            Party("arn1a", "Somebody"),
            Party("megalis", "Mégalis Bretagne"),
            Party("other", "MEGALIS-BRETAGNE"),
            Party("recia", "Récia"),
            Party("recla1", "arnia"),
        ]
    )
    assert alike["arn1a"] == (
        LookAlike("arn1a", "arnia", "arnia"), LookAlike("arn1a", "arnia", "recla1")
    )  # fmt: skip
    assert alike["other"] == (LookAlike("MEGALIS-BRETAGNE", "Mégalis Bretagne", "megalis"),)
    assert str(alike["other"][0]) == "'MEGALIS-BRETAGNE' looks like 'Mégalis Bretagne', the name of megalis"
    assert "recia" not in alike
    assert look_alikes([Party("arnia", "arnia"), Party("recia", "Récia")]) == {}


def test_a_name_without_letters_looks_like_nothing() -> None:
    assert look_alikes([Party("aaaaa", "--"), Party("zzzzz", "..")]) == {}
