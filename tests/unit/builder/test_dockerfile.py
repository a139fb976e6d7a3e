"""Dockerfiles: every combination renders, lints clean, and says only what it was given."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from builder.bases import BaseImage, resolve
from builder.definition import FileEntry, ImageDefinition, Workload, load
from builder.dockerfile import copies, quote_env, quote_env_with_variables, render
from builder.instructions import final_stage, pairs, parse
from builder.matrix import L4TRelease, Matrix
from builder.recipe import find
from builder.stage import obstacle
from registry.errors import BadInput, Refused

ROOT = Path(__file__).parents[3]
TEMPLATES = [ROOT / "dockerfiles"]
MATRIX = Matrix.load()
IMAGES = [load(ROOT / "images" / name) for name in ("mnist", "gpu-test", "tensorflow")]


def dockerfile(
    image: ImageDefinition, release: str, family: str, mirror: str = "", *, pip: bool = True
) -> str:
    chosen = MATRIX.release(release)
    base = resolve(MATRIX, chosen, family)
    recipe = find(MATRIX, chosen, image.framework, base)
    if mirror:
        recipe = recipe.with_mirror(mirror)
    return render(image, chosen, base, recipe, TEMPLATES, pip=pip)


def definition(**changes: object) -> ImageDefinition:
    base = ImageDefinition(
        name="demo",
        version="1.0.0",
        description="",
        framework=None,
        bases=("l4t-pytorch",),
        files=(),
        pip=(),
        apt=(),
        env=(),
        command=(),
        workload=Workload(),
        directory=ROOT,
    )
    return dataclasses.replace(base, **changes)  # type: ignore[arg-type]


def full_definition(framework: str | None = None) -> ImageDefinition:
    """One that uses every key."""
    return definition(
        framework=framework,
        files=(FileEntry(Path("/a"), "a b.py", "/opt/a b.py", uid=1, gid=2),),
        pip=("flask>=2", "tqdm==4.66.1"),
        apt=("curl", "g++"),
        env=(("A", 'a "b" $C \\ `d`'),),
        command=("sh", "-c", "a\n$B"),
    )


def combinations() -> Iterator[tuple[ImageDefinition, L4TRelease, BaseImage, str]]:
    for image in (*IMAGES, full_definition(), full_definition("pytorch")):
        for release in MATRIX.releases:
            for family in MATRIX.families:
                try:
                    base = resolve(MATRIX, release, family.name, image.framework)
                    recipe = find(MATRIX, release, image.framework, base)
                except Refused:
                    continue
                yield image, release, base, render(image, release, base, recipe, TEMPLATES)


@pytest.fixture(scope="module")
def rendered() -> list[str]:
    """The Dockerfile of every image, release and family that go together."""
    return [text for *_, text in combinations()]


def test_every_combination_renders_and_passes_hadolint(rendered: list[str], tmp_path: Path) -> None:
    # Many differ by the names of their caches only.
    texts = {re.sub(r"id=imgctl-r[\d.]+-", "id=imgctl-", text) for text in rendered}
    assert len(texts) > 100
    paths = []
    for number, text in enumerate(sorted(texts)):
        paths.append(tmp_path / f"{number}.Dockerfile")
        paths[-1].write_text(text)
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert hadolint, "hadolint is missing: run `make test`"
    done = subprocess.run(
        [hadolint, "--config", str(ROOT / ".hadolint.yaml"), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_every_base_is_one_that_exists(rendered: list[str]) -> None:
    tags = {
        f"{family.registry}/{family.repository}:{tag.tag}"
        for family in MATRIX.families
        for tag in family.tags
    }
    for text in rendered:
        froms = [item.rest for item in parse(text) if item.keyword == "FROM"]
        assert froms[-1] in tags


def test_images_on_a_framework_base_can_be_grafted() -> None:
    text = dockerfile(IMAGES[0], "r35.2.1", "l4t-pytorch")
    assert obstacle(final_stage(parse(text))) is None
    assert text == (
        "FROM nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3\n\n"
        'COPY --link --chown=0:0 ["pytorch-mnist.py", "/home/pytorch-mnist.py"]\n\n'
        'CMD ["python3", "/home/pytorch-mnist.py"]\n'
    )


def test_every_copy_links_and_none_changes_modes(rendered: list[str]) -> None:
    for text in rendered:
        for item in final_stage(parse(text)):
            if item.keyword == "COPY":
                assert item.flags["link"] == "true"
                assert "chmod" not in item.flags


def test_nothing_imports_a_framework_while_building(rendered: list[str]) -> None:
    for text in rendered:
        assert "import torch" not in text
        assert "import tensorflow" not in text


def test_r32_takes_cuda_from_the_host() -> None:
    text = dockerfile(IMAGES[0], "r32.7.1", "l4t-base")
    assert 'NVIDIA_REQUIRE_JETPACK="csv-mounts=all"' in text
    assert "cuda-cudart" not in text


def test_r36_brings_cuda_from_its_own_suite_and_keeps_board_packages_out() -> None:
    text = dockerfile(IMAGES[0], "r36.4.3", "l4t-base")
    assert "jetson/common r36.4 main" in text
    for package in ("cuda-cupti-12-6", "cuda-nvtx-12-6", "libcudnn9-cuda-12=9.3.0.75-1"):
        assert package in text
    assert "Pin-Priority: -1" in text
    assert "libcusparse_lt" in text
    assert text.index("libcudnn9") < text.index("pip install")


def test_wheels_come_by_url_and_checksum() -> None:
    text = dockerfile(IMAGES[0], "r36.4.3", "l4t-base")
    (line,) = [line for line in text.splitlines() if "/torch-2.5" in line and "ADD" in line]
    assert "--checksum=sha256:6f75fd2d" in line


def test_a_wheel_mirror_replaces_every_download_of_wheels() -> None:
    text = dockerfile(IMAGES[0], "r36.4.3", "l4t-base", "https://wheels.example.com/jetson/")
    assert "https://wheels.example.com/jetson/torch-2.5.0a0" in text
    assert "compute/redist/jp/" not in text


def test_tensorflow_comes_by_index_and_exact_version() -> None:
    text = dockerfile(IMAGES[2], "r32.4.2", "l4t-base")
    assert "--extra-index-url https://developer.download.nvidia.com/compute/redist/jp/v44" in text
    assert "tensorflow==2.1.0+nv20.4" in text


def test_python_packages_never_replace_the_bases_torch() -> None:
    text = dockerfile(definition(pip=("tqdm",)), "r35.2.1", "l4t-pytorch")
    assert "--constraint /tmp/constraints.txt" in text
    assert "torch|torchvision|torchaudio|numpy" in text
    assert "--only-binary=:all:" in text


def test_pip_comes_first_where_the_base_has_none() -> None:
    image = definition(pip=("tqdm",))
    assert "python3-pip" in dockerfile(image, "r35.2.1", "l4t-cuda")
    assert "apt-get" not in dockerfile(image, "r35.2.1", "l4t-pytorch")
    bare = definition(framework="pytorch", pip=("tqdm",))
    assert dockerfile(bare, "r35.2.1", "l4t-base").count("python3-pip") == 1


def test_the_pip_of_python_36_is_made_new_enough_for_wheels() -> None:
    image = definition(pip=("tqdm",))
    assert "'pip<22'" in dockerfile(image, "r32.7.1", "l4t-pytorch")
    assert "'pip<22'" not in dockerfile(image, "r35.2.1", "l4t-pytorch")


def test_ubuntu_gets_a_python_for_packages_that_are_laid_on() -> None:
    image = definition(pip=("tqdm",))
    assert "        python3\n" in dockerfile(image, "r36.4.0", "ubuntu", pip=False)
    assert "RUN" not in dockerfile(image, "r36.4.0", "l4t-jetpack", pip=False)


def test_board_packages_stay_out_of_whatever_apt_installs() -> None:
    text = dockerfile(definition(apt=("curl",)), "r35.2.1", "l4t-pytorch")
    assert text.index("nvidia-l4t-*") < text.index("apt-get install")
    assert "nvidia-l4t" not in dockerfile(definition(), "r35.2.1", "l4t-pytorch")


def test_python_packages_can_be_left_to_the_direct_engine() -> None:
    text = dockerfile(definition(pip=("tqdm",)), "r35.2.1", "l4t-pytorch", pip=False)
    assert "RUN" not in text


def test_the_framework_does_not_depend_on_the_scripts() -> None:
    mnist = dockerfile(IMAGES[0], "r36.4.3", "l4t-base")
    other = dockerfile(IMAGES[1], "r36.4.3", "l4t-base")
    assert mnist.split("COPY")[0] == other.split("COPY")[0]


def test_rendering_twice_gives_the_same_text() -> None:
    first = dockerfile(IMAGES[0], "r36.4.3", "l4t-base")
    assert first == dockerfile(IMAGES[0], "r36.4.3", "l4t-base")


def test_a_folder_is_one_copy() -> None:
    files = tuple(
        FileEntry(ROOT, f"data/{name}", f"/data/{name}", tree="data", tree_target="/data")
        for name in "abc"
    )
    (step,) = copies(files)
    assert (step.source, step.target) == ("data/", "/data/")


def test_a_missing_or_wrong_template_is_bad_input(tmp_path: Path) -> None:
    release = MATRIX.release("r35.2.1")
    base = resolve(MATRIX, release, "l4t-pytorch")
    recipe = find(MATRIX, release, None, base)
    with pytest.raises(BadInput, match="no template"):
        render(definition(), release, base, recipe, [tmp_path])
    template = tmp_path / "l4t-pytorch.Dockerfile.j2"
    for text in ("{{ nobody }}", "{% if %}", "{{ image.nothing.more }}", "{{ ''.__class__ }}"):
        template.write_text(text)
        with pytest.raises(BadInput, match="is wrong"):
            render(definition(), release, base, recipe, [tmp_path])


def test_a_teams_template_goes_before_the_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "l4t-pytorch.Dockerfile.j2").write_text(
        '{% extends "_layout.Dockerfile.j2" %}{% block settings %}USER 1000\n{% endblock %}'
    )
    release = MATRIX.release("r35.2.1")
    base = resolve(MATRIX, release, "l4t-pytorch")
    recipe = find(MATRIX, release, None, base)
    assert "USER 1000" in render(definition(), release, base, recipe, [tmp_path, *TEMPLATES])


line_text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]))
quick = settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.generate])


@quick
@example({"A": "a\u2028RUN b\u2029USER c"})
@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), line_text, max_size=4))
def test_no_value_of_env_can_add_an_instruction(env: dict[str, str]) -> None:
    image = definition(env=tuple(sorted(env.items())))
    stage = final_stage(parse(dockerfile(image, "r35.2.1", "l4t-pytorch")))
    assert [item.keyword for item in stage] == ["FROM", *(["ENV"] if env else [])]
    if env:
        assert dict(pairs(stage[1], {"HOME": "/root"})) == env


@quick
@given(st.lists(line_text, min_size=1, max_size=4))
def test_no_word_of_the_command_can_add_an_instruction(command: list[str]) -> None:
    image = definition(command=tuple(command))
    stage = final_stage(parse(dockerfile(image, "r35.2.1", "l4t-pytorch")))
    assert [item.keyword for item in stage] == ["FROM", "CMD"]
    assert stage[1].exec_form() == command


def test_env_of_our_own_may_refer_to_variables() -> None:
    assert quote_env_with_variables("/cuda/bin:${PATH}") == '"/cuda/bin:${PATH}"'
    assert quote_env("${PATH}") == '"\\${PATH}"'
    assert json.loads(quote_env("plain")) == "plain"
