"""Images in strings of YAML, in whatever style a dumper chose, are found where they stand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.pin.edit import edited
from deploy.pin.find import find_images
from deploy.pin.layers import Layer
from deploy.pin.nodes import Mapping, Scalar, as_yaml, parse
from deploy.pin.plan import Pin, Place
from deploy.pin.rules import rules

DIGEST = "sha256:" + "a" * 64
IMAGE = "127.0.0.1:5000/a/b:1"
# What YAML and JSON escape, fold and quote; without U+0085, which PyYAML's plain style loses.
WORDS = st.text(
    st.sampled_from("ab \t\n:#'\"\\/-{}[]&*!|>%@`,?\u00e9\u4e16🚀\u2028\x07"), max_size=30
)
STYLES = st.sampled_from([None, '"', "'", "|", ">"])
DUMPS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "default_style": STYLES,
        "default_flow_style": st.booleans(),
        # Where less than a word fits on a line, PyYAML writes strings it reads otherwise.
        "width": st.sampled_from([50, 80, 4000]),
        "allow_unicode": st.booleans(),
        "indent": st.sampled_from([2, 4]),
    }
)


def pod(word: str, image: str) -> dict[str, Any]:
    spec = {"containers": [{"args": [word], "image": image, "env": [{"value": word}]}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "note": word},
            "spec": spec}  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> tuple[str, Callable[[str], Any]]:
    """The text of a file with a ConfigMap that holds a Pod, and what reads the file."""
    word = draw(WORDS.filter(lambda text: "\u2028" not in text))
    if draw(st.booleans()):
        inner = json.dumps(pod(word, IMAGE), ensure_ascii=draw(st.booleans()),
                           indent=draw(st.sampled_from([None, 2, "\t"])))  # fmt: skip
    else:
        inner = yaml.safe_dump(pod(word, IMAGE), **draw(DUMPS))
    whole = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"word": word, "pod": inner}}
    if draw(st.booleans()):
        return json.dumps(whole, ensure_ascii=draw(st.booleans())), json.loads
    return yaml.safe_dump(whole, **draw(DUMPS)), yaml.safe_load


@given(files())
@settings(max_examples=300, deadline=None)
def test_only_the_image_in_the_string_changes(file: tuple[str, Callable[[str], Any]]) -> None:
    text, load = file
    found, notes = find_images(text, rules())
    pins = [Pin(Place(Path("a"), field), f"{field.image}@{DIGEST}", "resolved") for field in found]
    after = load(edited(text, pins))
    before = load(text)
    assert notes == []
    assert [field.image for field in found] == [IMAGE]
    before["data"]["pod"] = before["data"]["pod"].replace(IMAGE, f"{IMAGE}@{DIGEST}")
    assert after == before


@given(WORDS.filter(lambda word: bool(word.strip())), DUMPS)
@settings(max_examples=300, deadline=None)
def test_a_string_is_read_as_yaml_reads_it_or_not_at_all(word: str, style: Any) -> None:
    text = yaml.safe_dump({"x": word}, **style)
    (document,) = parse(text)
    assert isinstance(document, Mapping)
    ((_, value),) = document.pairs
    assert isinstance(value, Scalar)
    assert value.value == word
    layer = Layer(text).inner(value)
    if layer is None:
        assert "\u2028" in word
        return
    assert layer.text.rstrip("\n") == as_yaml(word).rstrip("\n")
    for position, character in enumerate(layer.text):
        start, end = layer.place(position, position + 1)
        source = text[start:end]
        if character.isalnum() and "\\" not in source:
            assert source == character
