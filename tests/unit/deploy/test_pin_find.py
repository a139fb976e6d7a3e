"""Which fields `imgctl pin` takes for images, and where exactly they stand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deploy.pin.find import find_images
from deploy.pin.rules import ImagePath, rules
from deploy.yaml_text import to_yaml
from registry.errors import BadInput

DIGEST = "sha256:" + "ab" * 32
STEPS = [{"image": "a/b:1"}]
POD = {"containers": [{"name": "main", "image": "example.test/app:1"}]}
TEMPLATE = {"template": {"spec": POD}}


def obj(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "it"}, "spec": spec}


def images(text: str, *own: str) -> list[str]:
    """The images found; each must be what stands at its place."""
    fields, _ = find_images(text, rules(map(ImagePath.parse, own)))
    for field in fields:
        source = text[field.start : field.end]
        assert source == field.image or "\\" in source or source.startswith("*") or field.parts
    return [field.image for field in fields]


def notes(text: str, *own: str) -> list[str]:
    return [note.message for note in find_images(text, rules(map(ImagePath.parse, own)))[1]]


@pytest.mark.parametrize(
    "value",
    [
        obj("Pod", POD),
        *(obj(kind, TEMPLATE) for kind in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet",
                                           "ReplicationController", "Job", "Rollout")),
        obj("CronJob", {"jobTemplate": {"spec": TEMPLATE}}),
        obj("ImagePrePullJob", {"imagePrePullTemplate": {"images": ["example.test/app:1"]}}),
        {"apiVersion": "v1", "kind": "PodTemplate", "template": {"spec": POD}},
        {"apiVersion": "v1", "kind": "List", "items": [obj("Pod", POD)]},
        obj("EdgeApplication", {"workloadTemplate": {"manifests": [obj("Deployment", TEMPLATE)]}}),
    ],
    ids=lambda value: value["kind"],
)  # fmt: skip
def test_every_kind_that_runs_containers_is_known(value: dict[str, Any]) -> None:
    assert images(to_yaml([value])) == ["example.test/app:1"]
    assert images(json.dumps(value, indent="\t")) == ["example.test/app:1"]


def test_every_place_in_a_pod_is_known() -> None:
    spec = {
        "initContainers": [{"image": "init:1"}],
        "containers": [{"image": "main:1"}, {"image": "side:1"}],
        "ephemeralContainers": [{"image": "debug:1"}],
        "volumes": [{"name": "model", "image": {"reference": "model:1"}}],
    }
    assert images(to_yaml([obj("Pod", spec)])) == ["init:1", "main:1", "side:1", "debug:1",
                                                   "model:1"]  # fmt: skip


def test_a_field_says_what_it_belongs_to() -> None:
    text = "# first\n---\n" + to_yaml([obj("Pod", POD)])
    (field,) = find_images(text, rules())[0]
    assert (field.kind, field.name, field.path) == ("Pod", "it", "spec.containers[0].image")
    assert text.splitlines()[field.line - 1].strip() == "image: example.test/app:1"


def in_pod(image: str) -> str:
    return f"kind: Pod\napiVersion: v1\nspec:\n  containers:\n  - image: {image}\n    name: x\n"


@pytest.mark.parametrize(
    "written",
    [
        "a/b:1",
        "'a/b:1'",
        '"a/b:1"',
        "a/b:1   # why",
        "!!str a/b:1",
        "&anchor a/b:1",
        '!!str &x "a/b:1" # both',
        "&x # here\n      a/b:1",
        "|-\n      a/b:1",
        ">-\n      a/b:1",
        "|- # a note\n      a/b:1",
        "|2-\n      a/b:1",
        "\n      a/b:1",
        r'"a\x2fb:1"',
    ],
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_every_way_to_write_a_string_is_read(written: str, ends: str) -> None:
    assert images(in_pod(written).replace("\n", ends)) == ["a/b:1"]


def test_byte_order_marks_before_the_text_are_counted() -> None:
    assert images("\ufeff" + in_pod("a/b:1")) == ["a/b:1"]
    assert images("\ufeff\ufeff" + in_pod("a/b:1")) == ["a/b:1"]


def test_a_byte_order_mark_between_files_put_together_is_refused() -> None:
    with pytest.raises(BadInput, match="8:1; a byte order mark within the text"):
        images(in_pod("a/b:1") + "---\n\ufeff" + in_pod("a/b:2"))


def test_characters_outside_the_basic_plane_count_once() -> None:
    assert images("# 🚀🚀 ü\n" + in_pod("a/b:1 # 🚀")) == ["a/b:1"]


@pytest.mark.parametrize("nothing", ["", "~", "null", "''", "[]", "{}"])
def test_a_field_without_an_image_is_none(nothing: str) -> None:
    assert images(in_pod(nothing)) == []


def test_an_alias_of_an_image_field_is_pinned_by_its_anchor() -> None:
    text = """\
apiVersion: v1
kind: Pod
spec:
  initContainers: [{image: &it a/b:1}]
  containers: [{image: *it}]
"""
    (field,) = find_images(text, rules())[0]
    assert field.path == "spec.initContainers[0].image"


def test_an_alias_of_something_else_is_pinned_itself() -> None:
    text = """\
apiVersion: v1
kind: Pod
metadata: {name: &it nginx}
spec:
  containers: [{image: *it}]
"""
    (field,) = find_images(text, rules())[0]
    assert text[field.start : field.end] == "*it"
    assert field.image == "nginx"


def test_merged_mappings_are_looked_into() -> None:
    text = """\
x: &base {image: a/b:1, name: base}
apiVersion: v1
kind: Pod
spec:
  containers:
  - {<<: *base, name: one}
  - {<<: *base, image: own:1}
"""
    assert images(text) == ["a/b:1", "own:1"]


def test_yaml_in_a_config_map_is_looked_into_however_it_is_written() -> None:
    inner = to_yaml([obj("Deployment", TEMPLATE), obj("Pod", POD)])
    for value in (inner, json.dumps(obj("List", {}) | {"items": [obj("Pod", POD)]})):
        data = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"app.yaml": value}}
        for text in (to_yaml([data]), json.dumps(data)):
            assert set(images(text)) == {"example.test/app:1"}
    block = "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: |\n" + "".join(
        f"    {line}\n" for line in inner.splitlines()
    )
    assert len(images(block)) == 2


def test_a_string_in_a_string_in_a_string() -> None:
    value = obj("Pod", POD)
    for _ in range(3):
        value = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": json.dumps(value)}}
    text = json.dumps(value)
    (field,) = find_images(text, rules())[0]
    assert text[field.start : field.end] == "example.test/app:1"


def test_a_rule_names_a_place_in_a_kind() -> None:
    text = to_yaml([obj("Run", {"steps": [{"use": "a:1"}, {"use": "b:2"}], "image": "c/d:3"})])
    assert images(text, "Run:spec.steps[*].use") == ["a:1", "b:2"]
    assert images(text, "Run:spec.steps.*.use", "Run:spec.image") == ["a:1", "b:2", "c/d:3"]
    assert images(text, "Run:spec.steps.1.use") == ["b:2"]
    assert images(text, "Walk:spec.image") == []


def test_a_rule_goes_on_inside_a_string() -> None:
    config = {"apiVersion": "v1", "kind": "ConfigMap",
              "data": {"app.json": '{"runner": {"use": "a/b:1"}}'}}  # fmt: skip
    assert images(to_yaml([config])) == []
    assert images(to_yaml([config]), 'ConfigMap:data["app.json"].runner.use') == ["a/b:1"]


@pytest.mark.parametrize(("kind", "field"), [("ConfigMap", "data"), ("Secret", "stringData")])
def test_images_in_settings_are_taken_when_they_say_which(kind: str, field: str) -> None:
    def settings(image: str) -> list[str]:
        inner = json.dumps({"image": "text", "runner": [{"image": image}]})
        return [to_yaml([{"apiVersion": "v1", "kind": kind, "data": {},
                          field: {"app.json": text, "b": "image: ["}}])
                for text in (inner, to_yaml([json.loads(inner)]))]  # fmt: skip

    for text in settings("a/b:1") + settings(f"b@{DIGEST}"):
        assert images(text) in (["a/b:1"], [f"b@{DIGEST}"])
        assert any("not YAML" in note for note in notes(text))
    for text in settings("http://a.test:80"):
        assert images(text) == []
    for text in settings("assets/logo.png"):
        assert images(text) == []
        assert f"--image-path '{kind}:{field}[\"app.json\"].runner[*].image'" in "".join(
            notes(text)
        )


def test_objects_are_found_in_any_string_of_any_object() -> None:
    inner = to_yaml([obj("Pod", POD)])
    for value in (inner, json.dumps(obj("Pod", POD)), f"# ours\n---\n{inner}"):
        assert images(to_yaml([obj("Run", {"steps": [{"apply": value}]})])) == [
            "example.test/app:1"
        ]
    told = "apiVersion and kind are said of every object"
    assert notes(to_yaml([obj("Run", {"text": told})])) == []


def test_what_kubectl_applied_before_and_what_runs_is_not_pinned() -> None:
    applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(obj("Pod", POD))}
    live = obj("Pod", POD) | {"metadata": {"name": "it", "annotations": applied}}
    text = to_yaml([live | {"status": {"containerStatuses": [{"image": "a.test/b:1"}]}}])
    assert images(text) == ["example.test/app:1"]
    assert notes(text) == []


def test_json_patches_of_images_are_found_in_files_and_in_strings() -> None:
    patch = [{"op": "replace", "path": "/spec/containers/0/image", "value": "a/b:1"},
             {"op": "test", "path": "/spec/containers/0/image", "value": "a/b:0"},
             {"op": "remove", "path": "/spec/x"}]  # fmt: skip
    assert images(to_yaml([{"a": 1}]) + "---\n" + json.dumps(patch)) == ["a/b:1"]
    for text in (json.dumps(patch), "- op: add\n  path: /x/image\n  value: a/b:1\n"):
        kustomization = {"patches": [{"target": {"kind": "Pod"}, "patch": text}]}
        assert images(to_yaml([kustomization])) == ["a/b:1"]


def test_a_rule_may_name_a_string_that_holds_objects() -> None:
    text = to_yaml([obj("Workflow", {"manifest": to_yaml([obj("Pod", POD)])})])
    assert images(text, "Workflow:spec.manifest") == ["example.test/app:1"]


def test_a_rule_for_anything_takes_files_that_are_no_objects() -> None:
    text = "services:\n  web: {image: 'nginx:1'}\n"
    assert images(text) == []
    assert "--image-path '*:services.web.image'" in notes(text)[0]
    assert images(text, "*:services.*.image") == ["nginx:1"]


def test_what_looks_like_an_image_and_has_no_rule_is_said_with_the_rule() -> None:
    text = to_yaml([obj("Run", {"steps": [{"image": "a/b:1"}]})])
    (note,) = notes(text)
    assert "--image-path 'Run:spec.steps[*].image'" in note
    assert notes(text, "Run:spec.steps[*].image") == []


def test_text_in_a_config_map_that_is_no_yaml_is_left_alone_and_said() -> None:
    text = to_yaml([{"apiVersion": "v1", "kind": "ConfigMap",
                     "data": {"x": "apiVersion: {{ .v }}\nkind: Pod\n  image: x\n"}}])  # fmt: skip
    assert images(text) == []
    assert "not YAML" in notes(text)[0]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Workflow", {"templates": [{"script": {"image": "a/b:1"}}]}),
        ("CronWorkflow", {"workflowSpec": {"templates": [{"sidecars": [{"image": "a/b:1"}]}]}}),
        ("Task", {"steps": STEPS}),
        ("PipelineRun", {"pipelineSpec": {"finally": [{"taskSpec": {"steps": STEPS}}]}}),
    ],
)  # fmt: skip
def test_argo_and_tekton_are_known(kind: str, spec: dict[str, Any]) -> None:
    assert images(to_yaml([obj(kind, spec)])) == ["a/b:1"]


@pytest.mark.parametrize(
    ("text", "place", "why"),
    [
        ("a: [1\nb: 2\n", "2:", "',' or ']'"),
        ("a:\n\tb: 1\n", "2:1", "cannot start any token"),
        ("a: *b\n", "1:4", "no anchor before it"),
        ("a: &a [*a]\n", "1:8", "inside what it stands for"),
        ("a: {{ x }}\n---\nb: {{ .y\n", "", ""),
        ("a: \x01\n", "", ""),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_place(text: str, place: str, why: str) -> None:
    with pytest.raises(BadInput) as caught:
        find_images(text, rules())
    assert caught.value.what.startswith(place)
    assert why in caught.value.why


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_no_depth_of_nesting_breaks_it(opening: str) -> None:
    closing = {"[": "]", "{a: ": "}"}.get(opening, "")
    text = opening * 5000 + "x" + closing * 5000
    try:
        found = images(text)
    except BadInput:
        found = []
    assert found == []


def test_aliases_that_multiply_are_not_followed_for_ever() -> None:
    lines = ["a0: &a0 [{image: x/y:1}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "apiVersion: v1\nkind: Bomb\n" + "\n".join(lines)
    path = "Bomb:a11" + ".*" * 12 + ".image"
    assert images(text, path) == ["x/y:1"]


@pytest.mark.parametrize("rule", ["", "Kind", "Kind:", ":a.b", "K d:a", "Kind:a..b", "Kind:a['b"])
def test_a_rule_that_names_no_place_is_refused(rule: str) -> None:
    with pytest.raises(BadInput, match="names no place"):
        ImagePath.parse(rule)
