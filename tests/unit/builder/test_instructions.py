"""Dockerfiles are taken apart as BuildKit takes them apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.instructions import expand, final_stage, pairs, parse, words
from registry.errors import BadInput


def test_instructions_come_with_their_flags_line_and_rest() -> None:
    text = "# note\nFROM a:1 AS x\n\nCOPY --link --chown=1:2 a b /opt/\n"
    start, copy = parse(text)
    assert (start.keyword, start.rest, start.line) == ("FROM", "a:1 AS x", 2)
    assert (copy.flags, copy.rest, copy.line) == (
        {"link": "true", "chown": "1:2"},
        "a b /opt/",
        4,
    )


def test_continued_lines_are_one_instruction_and_comments_inside_them_vanish() -> None:
    text = "FROM a\nRUN one \\\n  # why\n\n  && two\nUSER 1"
    run = parse(text)[1]
    assert (run.rest, run.line) == ("one && two", 2)
    assert parse(text)[2].line == 6


def test_only_a_line_feed_ends_a_line() -> None:
    text = 'FROM a\r\n# b\x0cRUN c\x85\nENV A="d\u2028RUN e"\nRUN f'
    assert [(item.keyword, item.line) for item in parse(text)] == [
        ("FROM", 1),
        ("ENV", 3),
        ("RUN", 4),
    ]


def test_the_escape_directive_changes_the_continuation() -> None:
    text = "# escape=`\nFROM a\nRUN one `\n two\\\nUSER 1"
    assert [item.keyword for item in parse(text)] == ["FROM", "RUN", "USER"]


def test_the_body_of_a_here_document_is_not_taken_for_instructions() -> None:
    text = "FROM a\nRUN <<EOF\nFROM trap\nEOF\nUSER 1\n"
    found = parse(text)
    assert [item.keyword for item in found] == ["FROM", "RUN", "USER"]
    assert found[1].heredoc


def test_the_final_stage_is_the_last_from_and_what_follows() -> None:
    stage = final_stage(parse("FROM a AS one\nRUN x\nFROM b\nUSER 1"))
    assert [item.rest for item in stage] == ["b", "1"]


def test_a_dockerfile_without_from_is_refused() -> None:
    with pytest.raises(BadInput, match="no FROM"):
        final_stage(parse("USER 1"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b", ["a", "b"]),
        ('"a b" c', ["a b", "c"]),
        ("'$X' $X ${X}", ["$X", "value", "value"]),
        ('"$X y"', ["value y"]),
        (r"a\ b \$X", ["a b", "$X"]),
        (r'"\$X \a \""', [r'$X \a "']),
        ("${NONE:-other} ${X:-other}", ["other", "value"]),
        ("${NONE:+other} ${X:+other}", ["", "other"]),
        ("$NONE", [""]),
        ("costs $ 5", ["costs", "$", "5"]),
        ('""', [""]),
    ],
)
def test_words_are_split_unquoted_and_expanded(text: str, expected: list[str]) -> None:
    assert words(text, {"X": "value"}) == expected


@pytest.mark.parametrize("text", ['"open', "${X", "${X?no}", "${}"])
def test_what_cannot_be_expanded_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        words(text, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ENV A=1 B="two words"', [("A", "1"), ("B", "two words")]),
        ("ENV A one  more", [("A", "one  more")]),
        ('LABEL "a.b"=c', [("a.b", "c")]),
        ("ENV A=$X:x", [("A", "value:x")]),
    ],
)
def test_pairs(text: str, expected: list[tuple[str, str]]) -> None:
    assert pairs(parse(text)[0], {"X": "value"}) == expected


@given(st.text(max_size=200))
def test_any_text_is_taken_apart_without_an_exception(text: str) -> None:
    for item in parse(text):
        assert item.keyword == item.keyword.upper()


@given(st.text(max_size=60))
def test_a_quoted_word_comes_back_as_it_was(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    assert words(f'"{quoted}"', {"X": "1"}) == [text]


def test_a_continued_line_goes_on_where_it_stopped() -> None:
    item = parse('FROM a\nENV A=foo\\\nbar B="x \\\n  y"\n')[1]
    assert pairs(item, {}) == [("A", "foobar"), ("B", "x   y")]
    assert item.text == 'ENV A=foobar B="x y"'


def test_an_escaped_escape_does_not_continue_a_line() -> None:
    assert [item.keyword for item in parse("FROM a\nLABEL a=\\\\\nUSER 1\n")] == [
        "FROM", "LABEL", "USER",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$$", ""),
        ("$1x", "x"),
        ("$12", ""),
        ("$?-$!", "-"),
        ("$ä", "a name"),
        ("a$", "a$"),
        ("a\\", "a"),
        ('"a\\x"', "a\\x"),
    ],
)
def test_a_dollar_means_what_it_means_to_a_shell(text: str, expected: str) -> None:
    assert expand(text, {"ä": "a name"}) == expected


def test_a_key_may_be_quoted() -> None:
    assert pairs(parse('FROM a\nLABEL "two words"="v w" b=\'$x\'')[1], {}) == [
        ("two words", "v w"), ("b", "$x"),
    ]  # fmt: skip
