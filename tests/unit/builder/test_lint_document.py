"""Where findings point, what suppressions do, and texts that are hard to read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.lint.check import lint_dockerfile
from builder.lint.finding import Finding, load_rules
from builder.matrix import Matrix
from registry.errors import BadInput

MATRIX = Matrix.load()
RULES = load_rules()
BASE = "FROM nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3\n"


def lint(text: str) -> tuple[Finding, ...]:
    return lint_dockerfile(text, "Dockerfile", MATRIX, rules=RULES)


def lines(text: str, rule: str) -> list[int]:
    return [item.line for item in lint(text) if item.rule == rule]


def test_a_clean_file_has_no_findings() -> None:
    assert lint(f"{BASE}COPY --link pytorch-mnist.py /home/\n") == ()


def test_the_line_inside_a_long_run() -> None:
    text = (
        f"{BASE}RUN apt-get update && \\\n"
        "    # what we need\n"
        "    apt-get install -y \\\n"
        "      curl \\\n"
        "      nvidia-jetpack && \\\n"
        "    wget http://jetson.webredirect.org/x\n"
    )
    assert lines(text, "apt-l4t-packages") == [6]
    assert lines(text, "link-webredirect") == [7]


def test_the_line_inside_a_here_document() -> None:
    text = f"{BASE}RUN <<EOF\napt-get update\napt-get upgrade -y\nEOF\nRUN apt upgrade\n"
    assert lines(text, "apt-upgrade") == [4, 6]


def test_a_here_document_of_copy_is_no_script() -> None:
    text = f"{BASE}COPY --link <<EOF /x\napt-get upgrade\nEOF\n"
    assert lines(text, "apt-upgrade") == []


def test_an_address_in_a_variable_is_reported_where_it_is_written() -> None:
    text = f"{BASE}ARG HOST=jetson.webredirect.org\nRUN wget http://$HOST/x\n"
    assert lines(text, "link-webredirect") == [2]


def test_an_address_put_together_is_reported_where_it_is_used() -> None:
    text = f"{BASE}ARG ZONE=webredirect.org\nRUN wget http://jetson.$ZONE/x\n"
    assert lines(text, "link-webredirect") == [3]


def test_an_argument_before_from_reaches_the_base_and_who_asks_for_it() -> None:
    text = "ARG TAG=r35.4.1\nFROM nvcr.io/nvidia/l4t-base:$TAG\nARG TAG\nRUN echo $TAG\n"
    assert lines(text, "base-unknown") == [2]


def test_comments_are_not_searched() -> None:
    assert lint(f"# once from jetson.webredirect.org\n{BASE}") == ()


def test_crlf_line_ends() -> None:
    text = f"{BASE}RUN apt-get update && \\\n  apt-get upgrade\n".replace("\n", "\r\n")
    assert lines(text, "apt-upgrade") == [3]


def test_the_escape_directive() -> None:
    text = f"# escape=`\n{BASE}RUN apt-get update && `\n  apt-get upgrade\n"
    assert lines(text, "apt-upgrade") == [4]


def test_a_stage_named_as_base_is_followed() -> None:
    text = (
        "FROM nvcr.io/nvidia/l4t-base:r32.7.1 AS first\n"
        "ENV NVIDIA_REQUIRE_JETPACK=csv-mounts=all\n"
        "FROM First\nRUN pip3 install --no-cache-dir numpy\n"
    )
    assert {item.rule for item in lint(text)} == {"numpy-illegal-instruction", "not-graftable"}


def test_errors_come_before_warnings_of_the_same_line() -> None:
    text = f"{BASE}RUN apt-get upgrade && pip3 install timm\n"
    found = [(item.line, item.level) for item in lint(text)]
    assert found == [(2, "error"), (2, "warning"), (2, "info"), (2, "info")]


# --- suppressions ---------------------------------------------------------------------------------


def test_a_suppression_with_a_reason_hides_its_rule_in_the_next_instruction_only() -> None:
    text = (
        f"{BASE}# imgctl: ignore=apt-upgrade our mirror is frozen\n"
        "RUN apt-get upgrade\nRUN apt-get upgrade\n"
    )
    assert lines(text, "apt-upgrade") == [4]


def test_a_suppression_inside_an_instruction() -> None:
    text = (
        f"{BASE}RUN apt-get update && \\\n"
        "    # imgctl: ignore=apt-upgrade,not-graftable our mirror is frozen\n"
        "    apt-get upgrade\n"
    )
    assert lint(text) == ()


def test_a_suppression_leaves_other_rules_alone() -> None:
    text = f"{BASE}# imgctl: ignore=apt-key we know\nRUN apt-get upgrade\n"
    assert lines(text, "apt-upgrade") == [3]


@pytest.mark.parametrize(
    ("comment", "says"),
    [
        ("# imgctl: ignore=apt-upgrade", "the reason is missing"),
        ("# imgctl: ignore=apt-upgrad we know", "no rule is called apt-upgrad"),
        ("# imgctl: ignore=apt-upgrade,x we know", "no rule is called x"),
    ],
)
def test_a_suppression_that_is_not_whole_hides_nothing(comment: str, says: str) -> None:
    found = {item.rule: item for item in lint(f"{BASE}{comment}\nRUN apt-get upgrade\n")}
    assert "apt-upgrade" in found
    assert says in found["suppression"].message
    assert found["suppression"].line == 2


# --- what is no Dockerfile ------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "RUN true\n", '{"a": 1}\n'])
def test_a_text_without_from_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="Dockerfile is no Dockerfile"):
        lint(text)


FRAGMENTS = st.sampled_from(
    ["FROM ubuntu:22.04", "FROM x AS y", "FROM", "RUN", "RUN apt-get install -y 'a", "RUN <<EOF",
     "EOF", "COPY --link", "COPY --link a", "ENV", "ENV A", "ENV A=\"", "ARG A=${B:-${C}}", "\\",
     "# imgctl: ignore=", "RUN pip install", "RUN pip install -r", "RUN bash -c", "ADD [",
     "FROM $A", "RUN [\"pip\", \"install\", \"torch\"]", "RUN []", "COPY [] ", "SHELL x",
     "ONBUILD RUN true"]
)  # fmt: skip


@given(st.lists(FRAGMENTS | st.text(max_size=30), max_size=12))
def test_whatever_the_file_holds_there_is_an_answer(parts: list[str]) -> None:
    text = "\n".join(["FROM nvcr.io/nvidia/l4t-base:r32.7.1", *parts])
    for item in lint(text):
        assert 1 <= item.line <= len(text.splitlines())
        assert item.rule in RULES
