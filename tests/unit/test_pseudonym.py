"""Pseudonyms: the same for the same key, of no use without it."""

import pytest

from txwatch.errors import ConfigurationError
from txwatch.pseudonym import KEY, KINDS, Pseudonyms, pseudonyms_of

DIGITS = "ab" * 32


def test_the_same_key_gives_the_same_pseudonym():
    one, other = pseudonyms_of({KEY: DIGITS}), pseudonyms_of({KEY: DIGITS})

    assert one("user_id", "u1") == other("user_id", "u1")
    assert one("user_id", "u1") != one("user_id", "u2")


def test_another_key_gives_another_pseudonym():
    assert Pseudonyms(b"1" * 32)("user_id", "u1") != Pseudonyms(b"2" * 32)("user_id", "u1")


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_of_what_it_is_and_which_key_made_it_and_nothing_of_the_id(kind):
    made = pseudonyms_of({KEY: f"3:{DIGITS}"})(kind, "4929000000006")

    assert made.startswith(f"{KINDS[kind]}-3-")
    assert "4929" not in made


def test_the_same_text_as_user_and_as_card_is_two_pseudonyms():
    made = Pseudonyms(b"1" * 32)

    assert made("user_id", "x").split("-")[-1] != made("card_id", "x").split("-")[-1]


@pytest.mark.parametrize("text", ["short", "ab" * 31, "zz" * 32, f"0:{DIGITS}", f"x:{DIGITS}"])
def test_a_key_that_is_none_gets_one_sentence(text):
    with pytest.raises(ConfigurationError, match="64 hexadecimal digits"):
        pseudonyms_of({KEY: text})


def test_without_a_key_there_are_no_pseudonyms():
    assert pseudonyms_of({}) is None
