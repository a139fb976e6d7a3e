"""Base images: every answer is a tag that exists, and runs on the release it is given for."""

from __future__ import annotations

import itertools

import pytest

from builder import bases
from builder.bases import BaseImage
from builder.matrix import L4TRelease, Matrix
from registry.errors import BadInput, Refused
from registry.reference import Reference

MATRIX = Matrix.load()
FAMILIES = [family.name for family in MATRIX.families]


def resolve(l4t: str, family: str, framework: str | None = None, **more: str) -> BaseImage:
    return bases.resolve(MATRIX, MATRIX.release(l4t), family, framework, **more)


@pytest.mark.parametrize(
    ("release", "family"),
    list(itertools.product(MATRIX.releases, FAMILIES)),
    ids=lambda item: item if isinstance(item, str) else item.name,
)
def test_every_answer_is_a_listed_tag_that_runs_there(release: L4TRelease, family: str) -> None:
    try:
        base = bases.resolve(MATRIX, release, family)
    except Refused as refused:
        assert release.name in refused.what
        assert any(tag.tag in refused.hint for item in MATRIX.families for tag in item.tags)
        return
    kind = MATRIX.family(family)
    assert base.tag in {tag.tag for tag in kind.tags}
    assert (base.registry, base.repository) == (kind.registry, kind.repository)
    assert bases.check_host(MATRIX, base, release) is None
    assert base.exact == (not base.reason)
    if base.l4t is not None:
        assert base.exact == (base.l4t == release.version)


@pytest.mark.parametrize(
    ("l4t", "family", "tag"),
    [
        ("r35.2.1", "l4t-pytorch", "r35.2.1-pth2.0-py3"),
        ("r32.4.2", "l4t-base", "r32.4.2"),
        ("r32.2.0", "l4t-base", "r32.2"),
        ("r34.1.0", "l4t-base", "r34.1"),
        ("r35.3.1", "l4t-base", "35.3.1"),
        ("r35.4.1", "l4t-base", "35.4.1"),
        ("r35.1.0", "l4t-pytorch", "r35.1.0-pth1.13-py3"),
        ("r32.7.1", "l4t-pytorch", "r32.7.1-pth1.10-py3"),  # 1.10 is newer than 1.9
        ("r32.7.1", "l4t-tensorflow", "r32.7.1-tf2.7-py3"),
        ("r36.2.0", "l4t-ml", "r36.2.0-py3"),
        ("r36.4.0", "l4t-jetpack", "r36.4.0"),
        ("r35.5.0", "l4t-cuda", "11.4.19-runtime"),
        ("r36.4.3", "l4t-cuda", "12.6.11-runtime"),
        ("r36.3.0", "pytorch-igpu", "24.05-py3-igpu"),
        ("r36.4.3", "pytorch-igpu", "25.06-py3-igpu"),
        ("r38.2.1", "pytorch-sbsa", "25.08-py3"),
        ("r38.4.0", "pytorch-sbsa", "25.10-py3"),
        ("r39.2.1", "ubuntu", "24.04"),
    ],
)
def test_the_exact_tag_where_there_is_one(l4t: str, family: str, tag: str) -> None:
    base = resolve(l4t, family)
    assert (base.tag, base.exact) == (tag, True)


@pytest.mark.parametrize(
    ("l4t", "family", "tag"),
    [
        ("r32.5.2", "l4t-base", "r32.5.0"),
        ("r32.7.6", "l4t-base", "r32.7.1"),
        ("r32.7.3", "l4t-pytorch", "r32.7.1-pth1.10-py3"),
        ("r35.3.1", "l4t-pytorch", "r35.2.1-pth2.0-py3"),
        ("r35.6.4", "l4t-pytorch", "r35.2.1-pth2.0-py3"),
        ("r35.6.4", "l4t-base", "35.4.1"),
        ("r35.5.0", "l4t-jetpack", "r35.4.1"),
        ("r36.4.3", "l4t-base", "r36.2.0"),
        ("r36.5.2", "l4t-base", "r36.2.0"),
        ("r36.5.2", "l4t-jetpack", "r36.4.0"),
        ("r36.5.2", "pytorch-igpu", "25.06-py3-igpu"),
        ("r39.2.1", "pytorch-sbsa", "25.10-py3"),
    ],
)
def test_the_documented_stand_in_with_its_reason(l4t: str, family: str, tag: str) -> None:
    base = resolve(l4t, family)
    assert (base.tag, base.exact) == (tag, False)
    assert base.reason


@pytest.mark.parametrize(
    ("l4t", "family", "named"),
    [
        ("r36.4.3", "l4t-pytorch", "nvcr.io/nvidia/pytorch:25.06-py3-igpu"),
        ("r38.4.0", "l4t-pytorch", "nvcr.io/nvidia/pytorch:25.10-py3"),
        ("r39.2.0", "l4t-base", "docker.io/library/ubuntu:24.04"),
        ("r34.1.1", "l4t-jetpack", "nvcr.io/nvidia/l4t-base:r34.1.1"),
        ("r32.2.3", "l4t-base", "nvcr.io/nvidia/l4t-base:r32.2.1"),
        ("r32.1.0", "l4t-base", "nvcr.io/nvidia/l4t-base:r32.2"),
        ("r35.5.0", "pytorch-igpu", "nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3"),
    ],
)
def test_a_refusal_names_what_there_is_instead(l4t: str, family: str, named: str) -> None:
    with pytest.raises(Refused) as caught:
        resolve(l4t, family)
    assert named in caught.value.hint


@pytest.mark.parametrize(
    ("l4t", "family", "variant", "tag"),
    [
        ("r35.1.0", "l4t-pytorch", "1.11", "r35.1.0-pth1.11-py3"),
        ("r35.1.0", "l4t-pytorch", "pth1.12", "r35.1.0-pth1.12-py3"),
        ("r32.7.6", "l4t-pytorch", "1.9", "r32.7.1-pth1.9-py3"),
        ("r32.7.1", "l4t-tensorflow", "tf1.15", "r32.7.1-tf1.15-py3"),
        ("r36.3.0", "l4t-cuda", "devel", "12.2.12-devel"),
        ("r36.4.0", "pytorch-igpu", "24.09", "24.09-py3-igpu"),
        ("r36.5.0", "pytorch-igpu", "26.02-py3-igpu", "26.02-py3-igpu"),
    ],
)
def test_another_of_several_tags_is_taken_by_name(
    l4t: str, family: str, variant: str, tag: str
) -> None:
    assert resolve(l4t, family, variant=variant).tag == tag


def test_a_variant_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(Refused) as caught:
        resolve("r35.1.0", "l4t-pytorch", variant="2.0")
    assert "r35.1.0-pth1.11-py3" in caught.value.why


def test_a_month_outside_the_jetpack_map_is_only_given_when_asked_for() -> None:
    assert resolve("r36.4.3", "pytorch-igpu").tag == "25.06-py3-igpu"
    asked = resolve("r36.4.3", "pytorch-igpu", variant="26.02")
    assert not asked.exact
    assert "no published map" in asked.reason


def test_a_family_with_another_framework_is_refused() -> None:
    with pytest.raises(Refused, match="l4t-pytorch has no tensorflow"):
        resolve("r35.2.1", "l4t-pytorch", "tensorflow")
    assert resolve("r35.2.1", "l4t-ml", "tensorflow").tag == "r35.2.1-py3"
    assert resolve("r35.2.1", "l4t-base", "tensorflow").provides == ()


def test_an_unknown_family_is_bad_input() -> None:
    with pytest.raises(BadInput, match="no base family"):
        resolve("r35.2.1", "l4t-pytorchs")


def test_who_brings_cuda_changes_at_r34() -> None:
    assert resolve("r32.7.1", "l4t-base").cuda == "host"
    assert resolve("r35.2.1", "l4t-base").cuda == "none"
    assert resolve("r32.7.1", "l4t-pytorch").cuda == "host"
    assert resolve("r35.2.1", "l4t-pytorch").cuda == "image"


def test_python_is_that_of_the_image() -> None:
    assert resolve("r32.7.1", "l4t-base").python == "3.6"
    assert resolve("r36.4.0", "pytorch-igpu", variant="24.09").python == "3.10"
    assert resolve("r36.4.0", "pytorch-igpu", variant="24.12").python == "3.12"


PREFERENCE = ("l4t-pytorch", "pytorch-igpu", "pytorch-sbsa", "ubuntu")


@pytest.mark.parametrize(
    ("l4t", "family"),
    [
        ("r35.2.1", "l4t-pytorch"),
        ("r36.4.3", "pytorch-igpu"),
        ("r38.4.0", "pytorch-sbsa"),
        ("r39.2.1", "ubuntu"),  # r39 is Orin and Thor; the Arm server image is proven on Thor only
    ],
)
def test_the_first_family_that_serves_the_whole_release_is_chosen(l4t: str, family: str) -> None:
    release = MATRIX.release(l4t)
    assert bases.choose_base(MATRIX, release, PREFERENCE, "pytorch").family == family


def test_a_base_for_some_modules_is_taken_when_there_is_no_other() -> None:
    base = bases.choose_base(MATRIX, MATRIX.release("r39.2.0"), PREFERENCE[:3], "pytorch")
    assert (base.family, base.modules) == ("pytorch-sbsa", ("agx-thor",))


def test_a_refusal_offers_only_what_the_definition_can_be_built_on() -> None:
    with pytest.raises(Refused) as caught:
        bases.choose_base(MATRIX, MATRIX.release("r38.2.0"), ["l4t-base", "l4t-ml"], "tensorflow")
    assert "ubuntu" not in caught.value.hint
    assert "which serves r36.5.2 hosts" in caught.value.hint


def test_no_family_at_all_is_refused() -> None:
    with pytest.raises(Refused, match=r"no l4t-pytorch image for r36\.4\.3"):
        bases.choose_base(MATRIX, MATRIX.release("r36.4.3"), ("l4t-pytorch",), "pytorch")


@pytest.mark.parametrize(
    ("l4t", "family", "target", "runs"),
    [
        ("r35.2.1", "l4t-pytorch", "r35.6.4", True),
        ("r35.2.1", "l4t-pytorch", "r36.4.3", False),
        ("r35.2.1", "l4t-pytorch", "r32.7.1", False),
        ("r36.3.0", "l4t-base", "r36.4.3", False),  # CUDA 12.2 was installed on it
        ("r36.4.0", "l4t-base", "r36.5.0", True),
        ("r36.3.0", "pytorch-igpu", "r36.4.3", False),
        ("r36.2.0", "pytorch-igpu", "r36.3.0", True),
        ("r35.2.1", "l4t-cuda", "r35.6.4", True),
        ("r36.4.0", "l4t-cuda", "r35.6.4", False),
        ("r38.4.0", "pytorch-sbsa", "r36.4.3", False),
        ("r38.4.0", "ubuntu", "r39.2.0", True),
        ("r32.5.1", "l4t-pytorch", "r32.5.0", True),
        ("r32.5.1", "l4t-pytorch", "r32.7.1", False),
    ],
)
def test_another_target_than_the_base_is_held_against_the_host_rules(
    l4t: str, family: str, target: str, runs: bool
) -> None:
    refused = bases.check_host(MATRIX, resolve(l4t, family), MATRIX.release(target))
    assert (refused is None) == runs
    assert refused is None or refused.hint.endswith(target)


def test_a_reference_is_recognised_when_it_exists() -> None:
    base = bases.published(MATRIX, Reference.parse("nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3"))
    assert base is not None
    assert (base.family, base.l4t, base.release) == ("l4t-pytorch", "35.2.1", "35.2.1")
    igpu = bases.published(MATRIX, Reference.parse("nvcr.io/nvidia/pytorch:24.12-py3-igpu"))
    assert igpu is not None
    assert igpu.family == "pytorch-igpu"


@pytest.mark.parametrize(
    ("reference", "meant"),
    [
        ("nvcr.io/nvidia/l4t-base:r35.4.1", "nvcr.io/nvidia/l4t-base:35.4.1"),
        ("nvcr.io/nvidia/l4t-base:r32.7.2", "nvcr.io/nvidia/l4t-base:r32.7.1"),
        ("nvcr.io/nvidia/l4t-cuda:12.6-runtime", "nvcr.io/nvidia/l4t-cuda:12.6.11-runtime"),
        ("nvcr.io/nvidia/l4t-pytorch:r35.4.1-pth2.1-py3", "r35.2.1-pth2.0-py3"),
    ],
)
def test_a_tag_that_never_existed_has_near_ones(reference: str, meant: str) -> None:
    wanted = Reference.parse(reference)
    assert bases.published(MATRIX, wanted) is None
    assert any(near.endswith(meant) for near in bases.nearest(MATRIX, wanted))


def test_every_listed_tag_is_found_by_its_reference() -> None:
    for family in MATRIX.families:
        for tag in family.tags:
            found = bases.published(MATRIX, Reference(family.registry, family.repository, tag.tag))
            assert found is not None, tag
            assert found.tag == tag.tag
