"""Definitions: what image.yaml may say, and what it is told when it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from builder import definition
from builder.definition_check import FAMILIES, check
from builder.definition_yaml import parse_mapping
from builder.matrix import Matrix
from registry.errors import BadInput

BUILT_IN = Path(__file__).parents[3] / "images"


def write(folder: Path, **changes: Any) -> Path:
    """A valid definition folder with some keys changed; None removes a key."""
    value: dict[str, Any] = {
        "name": "demo",
        "version": "1.2.3",
        "bases": ["l4t-pytorch"],
        "files": [{"source": "run.py", "target": "/home/run.py"}],
        "command": ["python3", "/home/run.py"],
    }
    value = {key: item for key, item in (value | changes).items() if item is not None}
    folder.mkdir(exist_ok=True)
    (folder / "run.py").write_text("print('hi')\n")
    (folder / "image.yaml").write_text(yaml.safe_dump(value))
    return folder


def test_a_definition_is_read_whole(tmp_path: Path) -> None:
    found = definition.load(
        write(
            tmp_path / "demo",
            description="A demo",
            framework="pytorch",
            files=[{"source": "run.py", "target": "/opt/run", "mode": "0755", "owner": "7:8"}],
            pip=["tqdm==4.66.1", "requests"],
            apt=["libgomp1"],
            env={"B": "2", "A": "x y"},
            workload={"kind": "service", "gpus": 1, "host_network": True},
        )
    )
    (file,) = found.files
    assert (file.relative, file.target, file.mode, file.uid, file.gid) == (
        "run.py", "/opt/run", 0o755, 7, 8,
    )  # fmt: skip
    assert found.pip == ("requests", "tqdm==4.66.1")
    assert found.env == (("A", "x y"), ("B", "2"))
    assert (found.workload.kind, found.workload.gpus, found.workload.host_network) == (
        "service", 1, True,
    )  # fmt: skip


def test_modes_come_from_the_file_when_not_given(tmp_path: Path) -> None:
    folder = write(tmp_path / "demo")
    (folder / "run.py").chmod(0o700)
    assert definition.load(folder).files[0].mode == 0o755
    (folder / "run.py").chmod(0o600)
    assert definition.load(folder).files[0].mode == 0o644


def test_a_folder_is_all_its_files(tmp_path: Path) -> None:
    folder = write(tmp_path / "demo", files=[{"source": "data", "target": "/data"}])
    (folder / "data" / "sub").mkdir(parents=True)
    (folder / "data" / "sub" / "b").write_text("b")
    (folder / "data" / "a").write_text("a")
    files = definition.load(folder).files
    assert [(file.relative, file.target) for file in files] == [
        ("data/a", "/data/a"),
        ("data/sub/b", "/data/sub/b"),
    ]


@pytest.mark.parametrize("name", ["mnist", "gpu-test", "tensorflow"])
def test_built_in_definitions_are_valid(name: str) -> None:
    assert definition.load(BUILT_IN / name).name == name


def test_families_are_those_of_the_matrix() -> None:
    assert set(FAMILIES) == {family.name for family in Matrix.load().families}


def test_a_teams_own_image_goes_before_the_built_in_one(tmp_path: Path) -> None:
    write(tmp_path / "mnist", name="mnist", version="9.9.9")
    assert definition.find("mnist", [tmp_path, BUILT_IN]).version == "9.9.9"
    names = [item.name for item in definition.catalogue([tmp_path, BUILT_IN])]
    assert names == ["gpu-test", "mnist", "tensorflow"]


def test_an_unknown_image_gets_the_nearest_name() -> None:
    with pytest.raises(BadInput) as caught:
        definition.find("mnits", [BUILT_IN])
    assert caught.value.hint == "did you mean 'mnist'?"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"colour": "red"}, "unknown key `colour`"),
    ({"comand": ["x"]}, "unknown key `comand`"),
    ({"name": None}, "has no `name`"),
    ({"name": "Demo"}, "cannot be 'Demo'"),
    ({"name": "a/b"}, "cannot be 'a/b'"),
    ({"version": "1.0"}, "not a semantic version"),
    ({"version": 1.0}, "is 1.0, not a semantic version"),
    ({"version": [1]}, "must be text"),
    ({"version": "1.0.0+build"}, "a tag cannot hold"),
    ({"framework": "caffe"}, "'caffe'"),
    ({"bases": ["l4t-pytorh"]}, "which is no base family"),
    ({"bases": []}, "names no `bases`"),
    ({"bases": ["l4t-base", "l4t-base"]}, "twice"),
    ({"bases": "l4t-base"}, "must be a list, it is text; write [l4t-base]"),
    ({"pip": ["a; rm -rf /"]}, "which is no package"),
    ({"pip": ["--index-url=x"]}, "which is no package"),
    ({"pip": ["https://h.example/a.whl"]}, "which is no package"),
    ({"apt": ["a b"]}, "which is no package"),
    ({"apt": ["-o"]}, "which is no package"),
    ({"apt": ["nvidia-jetpack"]}, "installs on a Jetson only"),
    ({"apt": ["nvidia-l4t-core=35.2.1"]}, "installs on a Jetson only"),
    ({"apt": ["nvidia-container"]}, "installs on a Jetson only"),
    ({"apt": ["libc6-"]}, "which is no package"),  # apt takes it away
    ({"pip": ["torchaudio"]}, "write `framework: pytorch`"),
    ({"pip": ["tensorflow_gpu==2.4"]}, "write `framework: tensorflow`"),
    ({"pip": ["torch>=2"]}, "write `framework: pytorch`"),
    ({"pip": ["tensorflow"], "framework": "pytorch"}, "write `framework: tensorflow`"),
    ({"env": {"A B": "x"}}, "cannot be the name of a variable"),
    ({"env": {"A": 1}}, "must be text"),
    ({"env": {"PATH": "/opt/bin:${PATH}"}}, "refers to its own value"),
    ({"env": ["A=1"]}, "must be a mapping"),
    ({"command": "python3 x"}, "must be a list"),
    ({"command": ["a\x00"]}, "control character"),
    ({"env": {"A": "a\x85RUN b"}}, "control character"),
    ({"workload": {"gpu": 1}}, "unknown key `workload.gpu`"),
    ({"workload": {"gpus": -1}}, "from 0 to"),
    ({"workload": {"gpus": True}}, "from 0 to"),
    ({"workload": {"kind": "cron"}}, "'cron'"),
    ({"workload": {"host_network": "yes"}}, "true or false"),
    ({"files": {"source": "x"}}, "must be a list"),
    ({"files": ["run.py"]}, "must be a mapping"),
    ({"files": [{"source": "run.py"}]}, "has no `target`"),
    ({"files": [{"source": "run.py", "target": "/a", "chmod": "1"}]}, "unknown key 'chmod'"),
    ({"files": [{"source": "gone.py", "target": "/a"}]}, "does not exist"),
    ({"files": [{"source": "/etc/passwd", "target": "/a"}]}, "inside the definition's folder"),
    ({"files": [{"source": "../run.py", "target": "/a"}]}, "inside the definition's folder"),
    ({"files": [{"source": "run.py", "target": "home/a"}]}, "must be absolute"),
    ({"files": [{"source": "run.py", "target": "/a/../b"}]}, "'.' or '..'"),
    ({"files": [{"source": "run.py", "target": "/"}]}, "full path"),
    ({"files": [{"source": "run.py", "target": "/home/"}]}, "full path"),
    ({"files": [{"source": "run.py", "target": "/proc/x"}]}, "kernel"),
    ({"files": [{"source": "run.py", "target": "/opt/.wh.a"}]}, "a deletion in the base"),
    ({"files": [{"source": "run.py", "target": "/a\nRUN x"}]}, "cannot be printed"),
    ({"files": [{"source": "run.py", "target": "/a", "mode": "rwx"}]}, "not octal"),
    # YAML reads 0644 as the number 420, and 33:33 as 2013.
    ({"files": [{"source": "run.py", "target": "/a", "mode": 0o644}]}, "not octal"),
    ({"files": [{"source": "run.py", "target": "/a", "mode": "0888"}]}, "not octal"),
    ({"files": [{"source": "run.py", "target": "/a", "owner": "root"}]}, "not UID:GID"),
    ({"files": [{"source": "run.py", "target": "/a", "owner": 2013}]}, "not UID:GID"),
    ({"files": [{"source": "run.py", "target": "/a", "owner": "5000000000"}]}, "out of range"),
    (
        {"files": [{"source": "run.py", "target": "/a"}, {"source": "run.py", "target": "/a"}]},
        "two files",
    ),
    (
        {"files": [{"source": "run.py", "target": "/a"}, {"source": "run.py", "target": "/a/b"}]},
        "is a file and the folder",
    ),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_cannot_be_built_is_told(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        definition.load(write(tmp_path / "demo", **changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "real"),
    [
        ("/bin/tool", "/usr/bin/tool"),
        ("/lib/x.so", "/usr/lib/x.so"),
        ("/sbin/x", "/usr/sbin/x"),
        ("/var/run/x", "/run/x"),
        ("/var/lock/x", "/run/lock/x"),
        ("/usr/local/cuda/lib64/x.so", "/usr/local/cuda-X.Y/lib64/x.so"),
    ],
)
def test_targets_under_a_symlink_of_the_base_are_refused_with_the_real_path(
    tmp_path: Path, target: str, real: str
) -> None:
    with pytest.raises(BadInput) as caught:
        definition.load(write(tmp_path / "demo", files=[{"source": "run.py", "target": target}]))
    assert caught.value.hint == f"write {real}"


def test_symlinks_that_leave_the_folder_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "demo", files=[{"source": "link", "target": "/a"}])
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(BadInput, match="leaves the folder"):
        definition.load(folder)
    (folder / "link").unlink()
    (folder / "link").symlink_to("run.py")
    assert definition.load(folder).files[0].relative == "link"


@pytest.mark.parametrize("target", ["gone", "b", "c"])
def test_a_symlink_that_leads_nowhere_is_named(tmp_path: Path, target: str) -> None:
    folder = write(tmp_path / "demo", files=[{"source": "data", "target": "/data"}])
    (folder / "data").mkdir()
    (folder / "data" / "b").symlink_to(target)
    (folder / "data" / "c").symlink_to("b")
    with pytest.raises(BadInput, match=r"`files\[0\]` in .*: source 'data/b'"):
        definition.load(folder)


def test_a_catalogues_folder_is_named_as_its_image(tmp_path: Path) -> None:
    folder = write(tmp_path / "demo", name="other")
    assert definition.find(str(folder), []).name == "other"
    with pytest.raises(BadInput, match=r"is 'other', its folder is 'demo'"):
        definition.find("demo", [tmp_path])
    with pytest.raises(BadInput, match=r"is 'other', its folder is 'demo'"):
        definition.catalogue([tmp_path])


@pytest.mark.parametrize(
    "text",
    ["", "- a\n", "a: [", "a: 1\na: 2\n", "\tx: 1", "1: 2\n", "a: &x [*x]\n", "? [a]\n: b\n"],
)
def test_what_is_no_definition_at_all(tmp_path: Path, text: str) -> None:
    (tmp_path / "image.yaml").write_text(text)
    with pytest.raises(BadInput):
        definition.load(tmp_path)


def test_no_folder_no_definition(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="does not exist"):
        definition.load(tmp_path / "nowhere")


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
keyed = st.dictionaries(
    st.sampled_from(
        [
            "name",
            "version",
            "description",
            "framework",
            "bases",
            "files",
            "pip",
            "apt",
            "env",
            "command",
            "workload",
            "source",
        ]
    ),
    yaml_values,
)
quick = settings(max_examples=200, deadline=None, phases=[Phase.explicit, Phase.generate])


@quick
@given(keyed)
def test_any_mapping_is_a_definition_or_bad_input(value: dict[str, Any]) -> None:
    base = {"name": "demo", "version": "1.0.0", "bases": ["l4t-base"]}
    try:
        found = check(base | value, BUILT_IN / "mnist", Path("image.yaml"))
    except BadInput:
        return
    assert found.bases


@quick
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_mapping_or_bad_input(data: bytes) -> None:
    try:
        value = parse_mapping(data, "image.yaml")
    except BadInput:
        return
    assert isinstance(value, dict)


file_values = st.fixed_dictionaries(
    {"source": st.text(), "target": st.text()},
    optional={"mode": st.integers() | st.text(), "owner": st.integers() | st.text()},
)


@quick
@given(st.lists(file_values, max_size=2))
def test_any_files_are_entries_or_bad_input(value: list[dict[str, Any]]) -> None:
    base = {"name": "demo", "version": "1.0.0", "bases": ["l4t-base"], "files": value}
    try:
        found = check(base, BUILT_IN / "mnist", Path("image.yaml"))
    except BadInput:
        return
    assert all(file.target.startswith("/") for file in found.files)
