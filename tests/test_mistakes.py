"""Mistakes that people make: each is answered in one sentence (`python tests/mistakes.py` counts them)."""

from pathlib import Path

import pytest

import mistakes
import test_door
import test_errors

ELSEWHERE = {*test_errors.BAD, *test_door.REFUSED}  # they have tests of their own


@pytest.mark.parametrize("kind", mistakes.KINDS)
def test_a_mistake_is_answered_in_a_sentence(kind):
    own = {k: v for k, v in mistakes.KINDS[kind].items() if k not in ELSEWHERE}
    answers = {name: mistakes.answered(*case) for name, case in own.items()}
    assert not {name: a for name, a in answers.items() if a[0] != "sentence"}
    assert not Path(mistakes.NOWHERE).exists()


def test_there_are_many_and_each_has_a_name():
    assert sum(map(len, mistakes.KINDS.values())) >= 200


def test_what_is_no_answer_is_counted_as_none():
    def fails(error):
        raise error

    assert mistakes.answered(lambda: None, [])[0] == "silent"
    assert mistakes.answered(lambda: fails(ValueError("not ours.")), [])[0] == "riddle"
    assert mistakes.answered(lambda: fails(KeyError("smile")), [])[0] == "riddle"
    assert mistakes.answered(lambda: fails(mistakes.Answered("a word.")), ["other"])[0] == "riddle"
    assert mistakes.answered(lambda: fails(mistakes.Answered("a word.")), ["word"])[0] == "sentence"
