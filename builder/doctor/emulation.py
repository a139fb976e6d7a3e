"""Whether arm64 programs run: what is registered with the kernel, and one of them really run."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.doctor.check import Check, failed, ok
from builder.doctor.uname import PRINTS, program
from builder.emulators import INSTALL, INSTALL_BY_APT, PINNED
from builder.engines.child import ask
from builder.engines.select import Builder

BINFMT, ARM64 = "binfmt", "arm64"
BINFMT_FOLDER = Path("/proc/sys/fs/binfmt_misc")

_NATIVE = ("aarch64", "arm64")
_ELF_AARCH64 = "b700"  # e_machine, hexadecimal digits 36 to 40 of the magic
_DOCKERFILE = 'FROM scratch\nCOPY uname /uname\nRUN --network=none ["/uname"]\n'
_LIMIT = 90.0  # seconds for a build that takes two


@dataclass(frozen=True)
class Binfmt:
    """The kernel's entry for aarch64 programs. name: empty where there is none.

    mounted: whether binfmt_misc can be looked at. enabled: it and the whole mechanism.
    """

    mounted: bool
    name: str = ""
    enabled: bool = False
    interpreter: str = ""
    flags: str = ""


@dataclass(frozen=True)
class Run:
    """An arm64 `uname -m` that was run. where: as a reader calls the place. seconds: it took."""

    where: str
    status: int
    output: str
    seconds: float = 0.0


def read_binfmt(folder: Path = BINFMT_FOLDER) -> Binfmt:
    """What is registered for aarch64 (the kernel's binfmt-misc.rst has the format)."""
    try:
        status = (folder / "status").read_text().strip()
    except OSError:
        return Binfmt(mounted=False)
    for path in sorted(folder.iterdir()):
        if path.name in ("register", "status"):
            continue
        try:
            text = path.read_text()
        except OSError:
            continue
        if _field(text, "magic")[36:40] == _ELF_AARCH64:
            return Binfmt(
                mounted=True,
                name=path.name,
                enabled=text.startswith("enabled") and status == "enabled",
                interpreter=_field(text, "interpreter"),
                flags=_field(text, "flags:"),
            )
    return Binfmt(mounted=True)


def check_binfmt(facts: Binfmt, machine: str) -> Check:
    """Whether the kernel hands arm64 programs to an emulator, in containers too.

    machine: this one's processor, as `uname -m` names it.
    """
    if machine in _NATIVE:
        return ok(BINFMT, f"this machine is {machine}: nothing has to be emulated")
    if not facts.mounted:
        says = "binfmt_misc is not mounted, so nothing can be registered"
        mount = "sudo mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc"
        return failed(BINFMT, says, f"{mount}; then {INSTALL}")
    if not facts.name:
        says = "nothing is registered for arm64 programs (it is lost at a reboot)"
        return failed(BINFMT, says, INSTALL, INSTALL_BY_APT)
    entry = BINFMT_FOLDER / facts.name
    if not facts.enabled:
        return failed(BINFMT, f"{facts.name} is disabled", f"echo 1 | sudo tee {entry}")
    if "F" not in facts.flags:
        return failed(
            BINFMT,
            f"{facts.name} has flags {facts.flags or 'none'} without F: containers would need "
            f"{facts.interpreter} inside the image",
            f"echo -1 | sudo tee {entry}; {INSTALL}",
        )
    return ok(BINFMT, f"{facts.name} is enabled with flags {facts.flags}: {facts.interpreter}")


def run_uname(builder: Builder, environment: Mapping[str, str]) -> Run:
    """Run an arm64 `uname -m` in a RUN of the builder, or on this machine where it is not usable.

    Nothing is pulled: the image is `scratch` and a program of 196 bytes.
    """
    with tempfile.TemporaryDirectory(prefix="imgctl-doctor-") as name:
        folder = Path(name)
        path = folder / "uname"
        path.write_bytes(program())
        path.chmod(0o755)
        began = time.monotonic()
        if not builder.usable:
            status, output = ask([str(path)], environment)
            return Run("on this machine", status, output, time.monotonic() - began)
        (folder / "Dockerfile").write_text(_DOCKERFILE)
        command = ["docker", "buildx", "build", "--platform", "linux/arm64", "--progress=plain",
                   "--no-cache", "--provenance=false", "--output", "type=cacheonly",
                   *(["--builder", builder.name] if builder.name else []), name]  # fmt: skip
        status, output = ask(command, environment, _LIMIT)
        where = f"in a RUN of builder {builder.name}"
        return Run(where, status, output, time.monotonic() - began)


def check_arm64(run: Run) -> Check:
    """Whether an arm64 program ran, and said that it is one."""
    lines = [line.split() for line in run.output.splitlines()]
    if run.status == 0 and any(words[-1:] == [PRINTS] for words in lines):
        return ok(ARM64, f"`uname -m` says {PRINTS} {run.where}, in {run.seconds:.1f} s")
    problem = f"an arm64 `uname -m` does not run {run.where}"
    if re.search(r"uncaught target signal|exit code: 139", run.output) or run.status in (139, -11):
        return failed(
            ARM64,
            f"{problem}: QEMU crashes",
            *PINNED,
            "or name a native arm64 builder with --builder",
        )
    if re.search(r"exec format error|no match for platform", run.output, re.IGNORECASE):
        return failed(ARM64, f"{problem}: there is no emulation", INSTALL, INSTALL_BY_APT)
    return failed(ARM64, f"{problem}: {_last_error(run)}", INSTALL, *PINNED[:1])


def _last_error(run: Run) -> str:
    lines = [line.strip() for line in run.output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or [f"exit status {run.status}"])[-1].removeprefix("ERROR: ")[:300]


def _field(text: str, name: str) -> str:
    match = re.search(rf"^{name}[ \t]+(.*)$", text, re.MULTILINE)
    return match[1].strip() if match else ""
