"""Commands found in RUN, and what pip and apt are asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.lint.requirements import allows, is_nvidia_wheel, requirement, wheel
from builder.lint.shell import Command, apt_packages, apt_verb, commands, pip_install, substitute


def programs(script: str) -> list[str]:
    return [command.program for command in commands(script)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("apt-get update && apt-get install -y a; pip3 list || true",
         ["apt-get", "apt-get", "pip3", "true"]),
        ("wget -qO- https://x.example/a | tar x", ["wget", "tar"]),
        ("if true; then apt upgrade; fi", ["true", "apt", "fi"]),
        ("A=1 B='2 3' sudo -E apt-get install x", ["apt-get"]),
        ("bash -euxc 'apt-get update && apt-get upgrade'", ["apt-get", "apt-get"]),
        ("echo 'a && b'", ["echo"]),
        ("(cd /x; make)", ["cd", "make"]),
        ("x=$(nvidia-smi)", ["nvidia-smi"]),
        ("/usr/bin/python3 -m pip install x", ["python3"]),
        ("# a comment\nmake", ["make"]),
        ("echo 'open quote", ["echo"]),
        ("", []),
    ],
)  # fmt: skip
def test_commands(script: str, expected: list[str]) -> None:
    assert programs(script) == expected


@given(st.text())
def test_no_text_is_too_strange(script: str) -> None:
    for command in commands(script):
        assert command.words


@pytest.mark.parametrize(
    ("words", "verb", "packages"),
    [
        ("apt-get -y -o Dpkg::Use-Pty=0 install a b=1.0 --fix-missing", "install", ("a", "b=1.0")),
        ("apt-get dist-upgrade -y", "dist-upgrade", ()),
        ("apt -t focal install a", "install", ("a",)),
        ("apt-mark hold a", "", ()),
        ("apt-get", "", ()),
    ],
)  # fmt: skip
def test_apt(words: str, verb: str, packages: tuple[str, ...]) -> None:
    command = Command(tuple(words.split()))
    assert apt_verb(command) == verb
    assert apt_packages(command) == packages


def test_pip() -> None:
    line = (
        "python3.8 -m pip install -U --index-url=https://a.example -f https://b.example"
        " -r requirements.txt -chttps://c.example/c.txt torch==2.0 --no-deps"
    )
    command = Command(tuple(line.split()), ("PIP_NO_CACHE_DIR=1",))
    install = pip_install(command)
    assert install is not None
    assert install.requirements == ("torch==2.0",)
    assert install.flags == {"-U", "--no-deps"}
    assert install.indexes == "https://a.example https://b.example"
    assert install.value("--requirement") == "requirements.txt"
    assert install.value("--constraint") == "https://c.example/c.txt"
    assert install.environment == ("PIP_NO_CACHE_DIR=1",)


@pytest.mark.parametrize("words", ["pip download x", "pip", "piper install x", "apt install pip"])
def test_what_is_no_pip_install(words: str) -> None:
    assert pip_install(Command(tuple(words.split()))) is None


def test_variables_that_are_known_are_put_in() -> None:
    assert substitute("$A ${B} $C ${D:-1} $$", {"A": "1", "B": "2"}) == "1 2 $C ${D:-1} $$"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Torch_Vision>=0.1", ("torch-vision", ">=0.1")),
        ("a[b,c] ==1", ("a", "==1")),
        ("https://x.example/a.whl", ("", "")),
        ("./a", ("", "")),
        ("$PACKAGE", ("", "")),
        ("a; python_version<'3.8'", ("a", "; python_version<'3.8'")),
    ],
)
def test_requirement(text: str, expected: tuple[str, str]) -> None:
    assert requirement(text) == expected


def test_wheel() -> None:
    found = wheel(
        "https://x.example/v61/torch-2.5.0a0%2B872d972e41.nv24.08-cp310-cp310-linux_aarch64.whl#sha256=0"
    )
    assert found is not None
    assert (found.name, found.version) == ("torch", "2.5.0a0+872d972e41.nv24.08")
    assert (found.python, found.platform) == ("cp310", "linux_aarch64")
    assert wheel("a-1.tar.gz") is None


def test_nvidia_wheels() -> None:
    redist = "https://developer.download.nvidia.com/compute/redist/jp/v61/pytorch"
    assert is_nvidia_wheel(f"{redist}/torch-2.5.0-cp310-cp310-linux_aarch64.whl")
    assert is_nvidia_wheel("tensorflow==2.16.1+nv24.08")
    assert not is_nvidia_wheel("tensorflow==2.16.1")
    assert not is_nvidia_wheel("https://x.example/torch-2.5.0-cp310-cp310-linux_aarch64.whl")


@pytest.mark.parametrize(
    ("specifier", "version", "expected"),
    [
        ("", (2, 0), True),
        ("<2", (2, 0), False),
        ("<2", (1, 26, 4), True),
        (">=1.23,<2", (2, 0), False),
        ("==1.26.4", (1, 26, 4), True),
        ("==1.26.4", (2, 0), False),
        ("~=1.26", (2, 0), False),
        ("~=1.26", (1, 27), True),
        ("!=2.0", (2, 0), False),
        (">2.0", (2, 0, 0), False),
        ("<=2", (2, 0, 0), True),
    ],
)
def test_allows(specifier: str, version: tuple[int, ...], expected: bool) -> None:
    assert allows(specifier, version) is expected
