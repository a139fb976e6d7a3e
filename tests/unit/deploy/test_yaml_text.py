"""Objects as YAML: whatever they hold comes back, and people can read it."""

from __future__ import annotations

import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from deploy.yaml_text import to_yaml


def test_a_text_of_several_lines_is_a_block() -> None:
    assert to_yaml([{"config.yaml": "version: v1\nflags: {}\n"}]) == (
        "config.yaml: |\n  version: v1\n  flags: {}\n"
    )


def test_a_value_said_twice_is_written_twice() -> None:
    labels = {"app": "x"}
    assert "&" not in to_yaml([{"one": labels, "two": labels}])


@settings(max_examples=300, phases=[Phase.explicit, Phase.generate], deadline=None)
@given(st.dictionaries(st.text(max_size=8), st.text(max_size=40) | st.booleans(), max_size=4))
def test_every_text_comes_back_as_it_was(value: dict[str, str | bool]) -> None:
    assert yaml.safe_load(to_yaml([value])) == value


@settings(max_examples=300, phases=[Phase.explicit, Phase.generate], deadline=None)
@given(
    st.lists(st.sampled_from(["a", " b", "\t", "# c", "- d", "", "e: f ", "\\", "'"]), max_size=6)
)
def test_lines_come_back_with_their_spaces(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert yaml.safe_load(to_yaml([{"key": text}])) == {"key": text}
