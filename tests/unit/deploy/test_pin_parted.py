"""Images whose name, tag and digest are apart, as Kustomize and Helm write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.pin.edit import edited
from deploy.pin.find import find_images
from deploy.pin.parted import split
from deploy.pin.plan import Pin, Place
from deploy.pin.rules import ImagePath, rules
from registry.errors import BadInput

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32


def pinned(text: str, after: str, *own: str) -> str:
    """The text with its only image made another."""
    (field,) = find_images(text, rules(map(ImagePath.parse, own)))[0]
    return edited(text, [Pin(Place(Path("a.yaml"), field), after, "replaced")])


def image(text: str, *own: str) -> list[str]:
    return [field.image for field in find_images(text, rules(map(ImagePath.parse, own)))[0]]


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ("{name: a, newTag: '1'}", "a:1"),
        ("{name: a, newTag: 1.27}", "a:1.27"),
        ("{name: a, newName: h.test/b, newTag: v1}", "h.test/b:v1"),
        (f"{{name: a, digest: '{DIGEST}'}}", f"a@{DIGEST}"),
        (f"{{name: a, newTag: v1, digest: '{DIGEST}'}}", f"a:v1@{DIGEST}"),
        (f"{{name: a, newTag: 'v1@{DIGEST}'}}", f"a:v1@{DIGEST}"),
    ],
)
def test_what_kustomize_would_write(item: str, found: str) -> None:
    assert image(f"images: [{item}]\n") == [found]
    assert image(f"kind: Kustomization\nimages:\n- {item}\n") == [found]


@pytest.mark.parametrize(
    "item", ["{name: a, newName: b}", "{name: a, newTag: ''}", "{newTag: v}", "a"]
)
def test_what_sets_no_tag_is_none(item: str) -> None:
    assert image(f"kind: Kustomization\nimages: [{item}]\n") == []


def test_other_objects_with_images_are_not_taken_for_kustomize() -> None:
    assert image("kind: Run\nimages: [{name: a, newTag: v1}]\n") == []
    assert image("images: [{name: a, digest: none}]\n") == []


def test_the_digest_goes_behind_the_tag_or_where_it_has_a_field() -> None:
    head = "images:\n- name: a # ours\n"
    tag, digest = "  newTag: '1'  # why\n", f"  digest: {DIGEST}\n"
    assert pinned(head + tag, f"a:1@{OTHER}") == f"{head}  newTag: '1@{OTHER}'  # why\n"
    assert pinned(head + digest, f"a@{OTHER}") == f"{head}  digest: {OTHER}\n"
    both = pinned(head + tag + digest, f"a:2@{OTHER}")
    assert both == f"{head}  newTag: '2'  # why\n  digest: {OTHER}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("images:\n- name: a\n  newTag: '1'\n",
         f"images:\n- name: a\n  newName: h.test/b\n  newTag: '2@{OTHER}'\n"),
        ("images:\r\n  - newTag: '1'\r\n    name: a\r\n",
         f"images:\r\n  - newName: h.test/b\r\n    newTag: '2@{OTHER}'\r\n    name: a\r\n"),
        ("images: [{name: a, newTag: 1}]\n",
         f"images: [{{name: a, newName: h.test/b, newTag: 2@{OTHER}}}]\n"),
        ('{"images": [{"name": "a", "newTag": "1"}]}',
         f'{{"images": [{{"name": "a", "newName": "h.test/b", "newTag": "2@{OTHER}"}}]}}'),
        ("images: [{name: a, newName: c, newTag: 1}]\n",
         f"images: [{{name: a, newName: h.test/b, newTag: 2@{OTHER}}}]\n"),
    ],
)  # fmt: skip
def test_a_new_name_goes_where_it_is_or_is_added(before: str, after: str) -> None:
    assert pinned(before, f"h.test/b:2@{OTHER}") == after


def test_an_image_of_ours_without_a_tag_keeps_the_one_there() -> None:
    text = "images: [{name: a, newTag: v1}]\n"
    assert pinned(text, f"a@{OTHER}") == f"images: [{{name: a, newTag: v1@{OTHER}}}]\n"


def test_a_rule_may_end_where_name_and_tag_are_apart() -> None:
    text = "apiVersion: v2\nkind: HelmRelease\nspec:\n  values:\n    image:\n      tag: '1'\n"
    whole = text + "      repository: h.test/app\n"
    rule = "HelmRelease:spec.values.image"
    (note,) = find_images(whole, rules())[1]
    assert f"h.test/app:1 left alone: name its place with --image-path '{rule}'" in note.message
    assert image(whole, rule) == ["h.test/app:1"]
    assert pinned(whole, f"b:2@{OTHER}", rule) == whole.replace("'1'", f"'2@{OTHER}'").replace(
        "h.test/app", "b"
    )
    apart = text + "      registry: h.test\n      repository: app\n"
    assert image(apart, rule) == ["h.test/app:1"]
    assert pinned(apart, f"h.test/app:1@{OTHER}", rule) == apart.replace("'1'", f"'1@{OTHER}'")
    with pytest.raises(BadInput, match="there is no place for the name b"):
        pinned(apart, f"b:2@{OTHER}", rule)
    assert image(text, rule) == []


def test_an_alias_that_others_share_is_refused_with_its_line() -> None:
    with pytest.raises(BadInput) as caught:
        image("x: &t v1\nimages: [{name: a, newTag: *t}]\n")
    assert (caught.value.what, caught.value.why) == (
        "1:",
        "the alias of newTag cannot be edited alone",
    )


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ("a", "", "")),
        ("h.test:5000/a", ("h.test:5000/a", "", "")),
        ("h.test:5000/a:1", ("h.test:5000/a", "1", "")),
        (f"a:1@{DIGEST}", ("a", "1", DIGEST)),
        (f"h.test:5000/a@{DIGEST}", ("h.test:5000/a", "", DIGEST)),
    ],
)
def test_an_image_is_split_at_its_tag_and_digest(text: str, parts: tuple[str, str, str]) -> None:
    assert split(text) == parts
