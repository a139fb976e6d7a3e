"""Recipes: what each release and base gets, and that nothing dead, fake or clashing is in one."""

from __future__ import annotations

import re

import pytest

from builder import bases, recipe
from builder.bases import BaseImage
from builder.matrix import DATA, L4TRelease, Matrix
from builder.recipe import Recipe
from registry.errors import BadInput, Refused

MATRIX = Matrix.load()

# What must never be rendered: hosts and folders that are gone, or never were.
DEAD = re.compile(
    r"webredirect\.org|jetson-ai-lab\.dev|jetson-ai-lab\.io/jp[457]|jp/v46/pytorch"
    r"|torch-1\.11\.0a0\+17540c5-cp36|jp/v(62|513|514|515|504|70|71|72)\b"
    r"|jp/v(50|502|51)/pytorch/torch-2\.0\.0\+|jp/v(51|511|60)/pytorch/torch-2\.1\.0a0"
    r"|jp/v60/pytorch/torch-2\.[23]|nv24\.08-cp310.*redist|l4t-repo|torch-2\.0\.0\.nv23"
)


def every_combination() -> list[tuple[L4TRelease, str, BaseImage, Recipe]]:
    found = []
    for release in MATRIX.releases:
        for framework in ("pytorch", "tensorflow"):
            for family in MATRIX.families:
                try:
                    base = bases.resolve(MATRIX, release, family.name, framework)
                    made = recipe.find(MATRIX, release, framework, base)
                except Refused:
                    continue
                found.append((release, framework, base, made))
    return found


ALL = every_combination()


def find(l4t: str, framework: str | None, family: str, version: str | None = None) -> Recipe:
    release = MATRIX.release(l4t)
    base = bases.resolve(MATRIX, release, family, framework)
    return recipe.find(MATRIX, release, framework, base, version=version)


def test_there_are_recipes_for_every_line_with_a_base() -> None:
    lines = {release.line for release, framework, _, _ in ALL if framework == "pytorch"}
    without = {release.name for release in MATRIX.releases if release.line not in lines}
    assert without == {"r32.1.0"}


@pytest.mark.parametrize("combination", ALL, ids=lambda item: f"{item[0].name}-{item[2].family}")
def test_every_recipe_is_sound(
    combination: tuple[L4TRelease, str, BaseImage, Recipe],
) -> None:
    release, framework, base, made = combination
    python = f"cp{base.python.replace('.', '')}"
    for wheel in made.wheels:
        assert f"-{python}-" in wheel.file
        assert wheel.version.split("+")[0] in wheel.file
        assert wheel.url.startswith("https://")
        assert not DEAD.search(wheel.url)
        assert wheel.status in ("alive", "likely", "fragile")
    assert made.installs == (framework not in base.provides)
    if release.major == 32:
        assert not made.nvidia_apt, "CUDA comes from the host"
        assert dict(made.env)["NVIDIA_REQUIRE_JETPACK"] == "csv-mounts=all"
    assert not [
        name for name in made.nvidia_apt if re.match(r"nvidia-(l4t|jetpack|container)", name)
    ]
    assert not [name for name in made.nvidia_apt if name.startswith("cuda-nvtx-13")]
    if made.nvidia_apt:
        assert "nvidia-l4t-*" in made.hold
    if made.apt_source:
        assert made.apt_source.suite == "r{}.{}".format(*release.line)
    for step in (*made.before, *made.after):
        assert not [name for name in step.packages if re.match(r"torch(vision)?\b", name)]


def test_pytorch_on_l4t_base_of_jetpack_5_1() -> None:
    made = find("r35.2.1", "pytorch", "l4t-base")
    torch, vision = made.wheels
    assert torch.file == "torch-2.1.0a0+41361538.nv23.06-cp38-cp38-linux_aarch64.whl"
    assert torch.url == (
        f"https://developer.download.nvidia.com/compute/redist/jp/v512/pytorch/{torch.file}"
    )
    assert vision.file == "torchvision-0.16.2+c6f3977-cp38-cp38-linux_aarch64.whl"
    assert vision.no_deps
    assert made.nvidia_apt == (
        "cuda-cudart-11-4",
        "cuda-libraries-11-4",
        "cuda-cupti-11-4",
        "cuda-nvtx-11-4",
        "libcudnn8=8.6.0.166-1+cuda11.4",
    )
    assert not made.needs_source, "l4t-base carries the suite of its own line"
    assert dict(made.env) == {
        "CUDA_HOME": "/usr/local/cuda",
        "PATH": "/usr/local/cuda/bin:${PATH}",
        "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
    }
    assert made.only_binary


def test_jetpack_6_needs_cusparselt_and_a_new_apt_suite_on_the_older_base() -> None:
    made = find("r36.4.3", "pytorch", "l4t-base")
    assert made.wheels[0].sha256 is not None
    assert [archive.name for archive in made.archives] == ["cusparselt"]
    assert made.apt_source is not None
    assert made.apt_source.line == (
        "deb [signed-by=/usr/share/keyrings/nvidia-jetson.asc] "
        "https://repo.download.nvidia.com/jetson/common r36.4 main"
    )
    assert "libcudnn9-cuda-12=9.3.0.75-1" in made.nvidia_apt
    assert any("numpy==1.26.4" in step.packages for step in made.before)


def test_jetpack_6_0_needs_no_cusparselt() -> None:
    assert find("r36.3.0", "pytorch", "l4t-base").archives == ()


def test_l4t_jetpack_has_cuda_already() -> None:
    made = find("r36.4.0", "pytorch", "l4t-jetpack")
    assert (made.nvidia_apt, made.apt_source) == ((), None)
    assert made.archives


def test_a_runtime_image_lacks_what_torch_loads_at_start() -> None:
    made = find("r36.4.0", "pytorch", "l4t-cuda")
    assert made.nvidia_apt[:2] == ("cuda-cupti-12-6", "cuda-nvtx-12-6")
    assert made.needs_source


def test_plain_ubuntu_is_told_of_devices_and_driver() -> None:
    made = find("r39.2.1", "pytorch", "ubuntu")
    assert dict(made.env)["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert "/usr/lib/aarch64-linux-gnu/nvidia" in made.driver_directories
    assert made.apt[0] == "ca-certificates"
    assert made.pip_flags == ("--break-system-packages",)
    assert made.apt_source is not None
    assert made.apt_source.suite == "r39.2"
    assert all(wheel.no_deps for wheel in made.wheels), "pip would bring a second CUDA"


def test_r32_takes_cuda_from_the_host_and_warns_of_the_wheel_host() -> None:
    made = find("r32.7.1", "pytorch", "l4t-base")
    assert made.wheels[0].url.startswith("https://nvidia.box.com/")
    assert made.wheels[0].file == "torch-1.10.0-cp36-cp36m-linux_aarch64.whl"
    assert any("--wheel-mirror" in note for note in made.notes)
    assert made.torchvision_why
    env = dict(made.env)
    assert env["OPENBLAS_CORETYPE"] == "ARMV8"
    assert env["PATH"].startswith("/usr/local/cuda-10.2/bin:")


def test_jetpack_4_2_gets_the_cuda_10_0_build_of_the_same_name() -> None:
    old, new = (
        find(l4t, "pytorch", "l4t-base", version="1.4.0").wheels[0]
        for l4t in ("r32.3.1", "r32.4.3")
    )
    assert old.file == new.file
    assert old.url != new.url
    assert "cuda-10.0" in dict(find("r32.3.1", "pytorch", "l4t-base").env)["PATH"]


def test_a_base_with_the_framework_needs_environment_only() -> None:
    made = find("r32.7.1", "pytorch", "l4t-pytorch")
    assert not made.installs
    assert made.env == (
        ("NVIDIA_REQUIRE_JETPACK", "csv-mounts=all"),
        ("OPENBLAS_CORETYPE", "ARMV8"),
    )
    assert made.protected == ("torch", "torchvision", "torchaudio")
    assert find("r35.2.1", "pytorch", "l4t-pytorch").env == ()


def test_an_image_without_a_framework_gets_nothing_installed() -> None:
    made = find("r35.2.1", None, "l4t-base")
    assert not made.installs
    assert made.env == ()


@pytest.mark.parametrize(
    ("l4t", "folder", "package"),
    [
        ("r32.4.2", "v44", "tensorflow==2.1.0+nv20.4"),
        ("r32.4.4", "v44", "tensorflow==2.3.1+nv20.11"),
        ("r32.2.1", "v42", "tensorflow-gpu==1.14.0+nv19.10"),
        ("r32.7.6", "v461", "tensorflow==2.7.0+nv22.1"),
        ("r35.5.0", "v512", "tensorflow==2.12.0+nv23.06"),
        ("r36.4.7", "v61", "tensorflow==2.16.1+nv24.08"),
    ],
)
def test_tensorflow_comes_from_the_index_of_its_jetpack(
    l4t: str, folder: str, package: str
) -> None:
    step = find(l4t, "tensorflow", "l4t-base").after[-1]
    assert step.packages == (package,)
    assert step.extra_index_url == (
        f"https://developer.download.nvidia.com/compute/redist/jp/{folder}"
    )


@pytest.mark.parametrize(
    ("l4t", "numpy", "h5py"),
    [("r32.4.4", "numpy==1.16.1", "h5py==2.10.0"), ("r32.5.1", "numpy==1.19.4", "h5py==3.1.0")],
)
def test_what_is_pinned_before_tensorflow_is_what_it_asks_for(
    l4t: str, numpy: str, h5py: str
) -> None:
    before = [name for step in find(l4t, "tensorflow", "l4t-base").before for name in step.packages]
    assert numpy in before
    assert h5py in before


@pytest.mark.parametrize("l4t", ["r38.2.0", "r38.4.0", "r39.2.1"])
def test_tensorflow_on_jetpack_7_is_refused_with_the_reason(l4t: str) -> None:
    with pytest.raises(Refused) as caught:
        find(l4t, "tensorflow", "ubuntu")
    assert "JetPack 7" in caught.value.why


def test_a_release_without_an_apt_suite_is_refused() -> None:
    with pytest.raises(Refused, match=r"CUDA for r39\.0\.0 cannot be installed"):
        find("r39.0.0", "pytorch", "ubuntu")


def test_another_version_is_taken_by_its_beginning() -> None:
    made = find("r35.5.0", "pytorch", "l4t-base", version="2.0")
    assert made.version == "2.0.0+nv23.05"
    tf = find("r36.3.0", "tensorflow", "l4t-base", version="2.15")
    assert tf.version == "2.15.0+nv24.05"


@pytest.mark.parametrize(("framework", "known"), [("pytorch", "2.1.0a0"), ("tensorflow", "2.12.0")])
def test_an_unknown_version_lists_the_known(framework: str, known: str) -> None:
    with pytest.raises(Refused) as caught:
        find("r35.5.0", framework, "l4t-base", version="9.9")
    assert known in caught.value.why


def test_a_base_of_another_framework_is_refused() -> None:
    release = MATRIX.release("r35.2.1")
    base = bases.resolve(MATRIX, release, "l4t-pytorch")
    with pytest.raises(Refused, match="has no tensorflow"):
        recipe.find(MATRIX, release, "tensorflow", base)


def test_an_unknown_framework_is_bad_input() -> None:
    release = MATRIX.release("r35.2.1")
    base = bases.resolve(MATRIX, release, "l4t-base")
    with pytest.raises(BadInput, match="no framework 'jax'"):
        recipe.find(MATRIX, release, "jax", base)


def test_a_mirror_takes_the_place_of_every_host() -> None:
    made = find("r36.4.3", "pytorch", "l4t-base").with_mirror("https://wheels.example.com/jetson/")
    assert [wheel.url for wheel in made.wheels] == [
        f"https://wheels.example.com/jetson/{wheel.file}" for wheel in made.wheels
    ]
    assert made.archives[0].url.startswith("https://wheels.example.com/jetson/libcusparse_lt")
    assert not any("--wheel-mirror" in note for note in made.notes)


def test_a_mirror_serves_what_else_comes_by_index() -> None:
    made = find("r35.2.1", "tensorflow", "l4t-base").with_mirror("http://10.0.0.1:8080")
    assert made.after[-1].extra_index_url == ""
    assert made.after[-1].find_links == "http://10.0.0.1:8080/"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "wheels",
        "ftp://host/x",
        "https://",
        "https://me:pw@host/",
        "https://h/?a",
        "https://h/a b",
        "https://h/$HOME",
        'https://h/"]',
    ],
)
def test_a_mirror_that_cannot_be_one_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        find("r35.2.1", "pytorch", "l4t-base").with_mirror(url)
    assert "pw" not in str(caught.value)


def test_every_wheel_on_record_is_the_choice_for_some_release_or_can_be_asked_for() -> None:
    from builder.matrix import read_data
    from builder.recipes import pytorch

    data = read_data("pytorch.yaml", DATA)
    offered = {
        wheel.url for release in MATRIX.releases for wheel in pytorch.wheels_for(data, release)
    }
    assert len(offered) == len(data["wheels"]) == 39
    for release in MATRIX.releases:
        preferred = pytorch.wheels_for(data, release)[0]
        assert (
            preferred.version
            == pytorch.installation(data, read_data("apt.yaml"), release, None).version
        )
