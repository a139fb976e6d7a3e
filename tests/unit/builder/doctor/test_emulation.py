"""What the doctor makes of binfmt, and of an arm64 program that was run."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.doctor.emulation import (
    Binfmt,
    Run,
    check_arm64,
    check_binfmt,
    read_binfmt,
    run_uname,
)
from builder.emulators import INSTALL, PINNED
from builder.engines.select import Builder

MAGIC = "7f454c460201010000000000000000000200b700"
X86 = "7f454c4602010100000000000000000002003e00"
GOOD = Binfmt(True, "qemu-aarch64", True, "/usr/bin/qemu-aarch64-static", "POF")


def registered(
    folder: Path, name: str, flags: str, magic: str = MAGIC, state: str = "enabled"
) -> None:
    (folder / name).write_text(
        f"{state}\ninterpreter /usr/bin/{name}-static\nflags: {flags}\noffset 0\nmagic {magic}\n"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "status").write_text("enabled\n")
    (tmp_path / "register").write_text("")
    return tmp_path


def test_the_kernels_entry_is_read(folder: Path) -> None:
    registered(folder, "qemu-aarch64", "POF")
    assert read_binfmt(folder) == GOOD


def test_it_is_found_by_its_magic_whatever_its_name(folder: Path) -> None:
    registered(folder, "a-qemu-x86_64", "F", X86)
    registered(folder, "rosetta-like", "F")
    assert read_binfmt(folder).name == "rosetta-like"


def test_entries_for_other_processors_do_not_count(folder: Path) -> None:
    registered(folder, "qemu-x86_64", "F", X86)
    assert read_binfmt(folder) == Binfmt(mounted=True)


def test_a_disabled_mechanism_disables_its_entries(folder: Path) -> None:
    registered(folder, "qemu-aarch64", "F")
    (folder / "status").write_text("disabled\n")
    assert not read_binfmt(folder).enabled


def test_an_unmounted_folder_is_told_from_an_empty_one(tmp_path: Path) -> None:
    assert not read_binfmt(tmp_path / "nowhere").mounted


def test_enabled_with_f_is_ok() -> None:
    check = check_binfmt(GOOD, "x86_64")
    assert check.state == "ok"
    assert "flags POF" in check.says


def test_an_arm64_machine_needs_none() -> None:
    assert check_binfmt(Binfmt(mounted=False), "aarch64").state == "ok"


@pytest.mark.parametrize(
    ("facts", "says", "remedy"),
    [
        (Binfmt(False), "not mounted", "sudo mount -t binfmt_misc"),
        (Binfmt(True), "nothing is registered", INSTALL),
        (
            Binfmt(True, "qemu-aarch64", False, "/q", "F"),
            "qemu-aarch64 is disabled",
            "echo 1 | sudo tee /proc/sys/fs/binfmt_misc/qemu-aarch64",
        ),
        (
            Binfmt(True, "qemu-aarch64", True, "/q", "OC"),
            "flags OC without F",
            f"echo -1 | sudo tee /proc/sys/fs/binfmt_misc/qemu-aarch64; {INSTALL}",
        ),
    ],
)
def test_each_fault_has_its_command(facts: Binfmt, says: str, remedy: str) -> None:
    check = check_binfmt(facts, "x86_64")
    assert check.state == "failed"
    assert says in check.says
    assert check.remedies[0].startswith(remedy)


@pytest.mark.parametrize("output", ["aarch64\n", "#5 [2/2] RUN\n#5 0.663 aarch64\n#5 DONE 0.7s\n"])
def test_a_program_that_says_aarch64_is_ok(output: str) -> None:
    check = check_arm64(Run("in a RUN of builder default", 0, output, 0.7))
    assert check.state == "ok"
    assert check.says == "`uname -m` says aarch64 in a RUN of builder default, in 0.7 s"


def test_a_program_that_says_something_else_is_not() -> None:
    assert check_arm64(Run("on this machine", 0, "x86_64\n")).state == "failed"


@pytest.mark.parametrize(
    ("status", "output"),
    [
        (1, "#5 qemu: uncaught target signal 11 (Segmentation fault) - core dumped"),
        (1, 'process "/uname" did not complete successfully: exit code: 139'),
        (139, ""),
        (-11, ""),
    ],
)
def test_a_crash_of_qemu_names_releases_to_try(status: int, output: str) -> None:
    check = check_arm64(Run("in a RUN of builder default", status, output))
    assert "QEMU crashes" in check.says
    assert check.remedies[: len(PINNED)] == PINNED


def test_no_emulation_is_told_from_a_crash() -> None:
    check = check_arm64(Run("on this machine", 127, "[Errno 8] Exec format error: '/tmp/uname'"))
    assert check.says.endswith("there is no emulation")
    assert check.remedies[0] == INSTALL


def test_anything_else_shows_the_error() -> None:
    output = "#0 building\nERROR: failed to build: disk full\n\nsomething else"
    assert check_arm64(Run("there", 1, output)).says.endswith("failed to build: disk full")


def test_the_builder_gets_an_image_from_scratch_and_nothing_to_pull(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text(
        '#!/bin/sh\necho "$@"\nfor last; do :; done\ncat "$last/Dockerfile"\nls -l "$last/uname"\n'
    )
    docker.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    run = run_uname(Builder("farm", "kubernetes", usable=True), environment)
    assert run.where == "in a RUN of builder farm"
    assert "--platform linux/arm64" in run.output
    assert "--builder farm" in run.output
    assert "FROM scratch" in run.output
    assert "-rwxr-xr-x" in run.output
