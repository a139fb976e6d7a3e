"""From a parsed image.yaml to a definition: every key, type and path checked.

Errors name the file, the key and what to do. Nothing outside the definition's folder is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import semver

from builder.definition import ImageDefinition, Workload
from builder.definition_files import check_files
from registry.errors import BadInput

FRAMEWORKS = ("pytorch", "tensorflow")
KINDS = ("batch", "service")
FAMILIES = (
    "l4t-pytorch", "l4t-tensorflow", "l4t-ml", "l4t-jetpack", "l4t-cuda", "l4t-tensorrt",
    "l4t-base", "pytorch-igpu", "pytorch-sbsa", "ubuntu",
)  # fmt: skip
KEYS = (
    "name", "version", "description", "framework", "bases", "files", "pip", "apt", "env",
    "command", "workload",
)  # fmt: skip

_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*", re.ASCII)
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PIP = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\[[A-Za-z0-9._, -]+\])?"
    r"\s*(?:(?:===|==|!=|<=|>=|~=|<|>)\s*[A-Za-z0-9.*+!_-]+"
    r"(?:\s*,\s*(?:===|==|!=|<=|>=|~=|<|>)\s*[A-Za-z0-9.*+!_-]+)*)?",
    re.ASCII,
)
# No minus at the end: apt would take the package away.
_APT = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](?::[a-z0-9]+)?(?:=[A-Za-z0-9.+:~-]+)?", re.ASCII)
# What NVIDIA builds for its devices' GPUs: an index gives a build for CPUs under the same name.
_GPU_BUILDS = {
    "torch": "pytorch", "torchvision": "pytorch", "torchaudio": "pytorch",
    "tensorflow": "tensorflow", "tensorflow-gpu": "tensorflow",
}  # fmt: skip
# They depend on nvidia-l4t-core, which installs on a Jetson only.
_BOARD = re.compile(r"nvidia-(l4t-|jetpack|container(?![a-z-]))")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Fields:
    """A mapping of image.yaml with typed access; every error names the file and the key."""

    def __init__(self, value: Mapping[str, Any], where: str, prefix: str = "") -> None:
        self._value = value
        self.where = where
        self.prefix = prefix

    def wrong(self, key: str, problem: str, hint: str = "") -> BadInput:
        """The error for one key."""
        return BadInput(f"`{self.prefix}{key}` in {self.where} {problem}", "", hint)

    def only(self, known: tuple[str, ...]) -> None:
        """Refuse keys that are not known, with the nearest that is."""
        for key in self._value:
            if key not in known:
                near = get_close_matches(key, known, n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"keys: {', '.join(known)}"
                raise BadInput(f"unknown key `{self.prefix}{key}` in {self.where}", "", hint)

    def text(self, key: str, default: str | None = None) -> str:
        """A string; missing without a default is an error."""
        value = self._value.get(key)
        if value is None:
            if default is None:
                raise BadInput(f"{self.where} has no `{self.prefix}{key}`", "", f"add `{key}: …`")
            return default
        if not isinstance(value, str):
            hint = f'write it in quotes: "{value}"' if isinstance(value, int | float) else ""
            raise self.wrong(key, f"must be text, it is {_named(value)}", hint)
        if _CONTROL.search(value):
            raise self.wrong(key, "holds a control character")
        return value

    def line(self, key: str, default: str | None = None) -> str:
        """A string without line ends."""
        value = self.text(key, default)
        if "\n" in value:
            raise self.wrong(key, "must be one line")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings, empty when absent."""
        value = self._value.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            hint = f"write [{', '.join(value.split())}]" if isinstance(value, str) else ""
            raise self.wrong(key, f"must be a list, it is {_named(value)}", hint)
        for item in value:
            if not isinstance(item, str):
                raise self.wrong(key, f"must be a list of text, {item!r:.40} is {_named(item)}")
            if _CONTROL.search(item):
                raise self.wrong(key, "holds a control character")
        return tuple(value)

    def number(self, key: str, default: int, most: int) -> int:
        """A whole number from 0 to most."""
        value = self._value.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise self.wrong(key, f"must be a whole number from 0 to {most}, it is {value!r:.40}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        value = self._value.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, f"must be true or false, it is {value!r:.40}")
        return value

    def fields(self, key: str) -> Fields:
        """A mapping inside, empty when absent."""
        value = self._value.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(key, f"must be a mapping, it is {_named(value)}")
        return Fields(value or {}, self.where, f"{self.prefix}{key}.")

    def raw(self, key: str) -> Any:
        """The value as YAML gave it."""
        return self._value.get(key)

    def names(self) -> tuple[str, ...]:
        """Every key there is."""
        return tuple(self._value)


def check(value: Mapping[str, Any], directory: Path, path: Path) -> ImageDefinition:
    """The definition a mapping describes; directory is where its files lie. Raises BadInput."""
    fields = Fields(value, str(path))
    fields.only(KEYS)
    return ImageDefinition(
        name=_name(fields),
        version=_version(fields),
        description=fields.line("description", ""),
        framework=_framework(fields),
        bases=_bases(fields),
        files=check_files(fields.raw("files"), directory, str(path)),
        pip=_pip(fields),
        apt=_apt(fields),
        env=_env(fields),
        command=fields.texts("command"),
        workload=_workload(fields.fields("workload")),
        directory=directory.absolute(),
    )


def _name(fields: Fields) -> str:
    name = fields.line("name")
    if not _NAME.fullmatch(name) or len(name) > 63:
        hint = "lower-case letters and digits, parts joined by '-', '.' or '_', at most 63"
        raise fields.wrong("name", f"cannot be {name!r:.80}: it becomes a repository", hint)
    return name


def _version(fields: Fields) -> str:
    if isinstance(fields.raw("version"), int | float):
        # YAML makes a number of 1.0, which in quotes would be no semantic version either.
        number = fields.raw("version")
        raise fields.wrong("version", f"is {number}, not a semantic version", "like 1.0.0")
    version = fields.line("version")
    if not semver.Version.is_valid(version):
        raise fields.wrong("version", f"is {version!r:.80}, not a semantic version", "like 1.0.0")
    if "+" in version:
        raise fields.wrong("version", f"is {version!r}: a tag cannot hold '+'", "leave it out")
    if len(version) > 64:
        raise fields.wrong("version", "is too long for a tag", "at most 64 characters")
    return version


def _framework(fields: Fields) -> str | None:
    framework = fields.line("framework", "") or None
    if framework is not None and framework not in FRAMEWORKS:
        raise fields.wrong("framework", f"is {framework!r:.40}", f"one of {', '.join(FRAMEWORKS)}")
    return framework


def _bases(fields: Fields) -> tuple[str, ...]:
    bases = fields.texts("bases")
    if not bases:
        raise BadInput(f"{fields.where} names no `bases`", "", f"families: {', '.join(FAMILIES)}")
    for base in bases:
        if base not in FAMILIES:
            near = get_close_matches(base, FAMILIES, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"families: {', '.join(FAMILIES)}"
            raise fields.wrong("bases", f"names {base!r:.40}, which is no base family", hint)
    if len(set(bases)) != len(bases):
        raise fields.wrong("bases", "names a family twice")
    return bases


def _packages(fields: Fields, key: str, pattern: re.Pattern[str], form: str) -> tuple[str, ...]:
    packages = fields.texts(key)
    for item in packages:
        if not pattern.fullmatch(item):
            raise fields.wrong(key, f"holds {item!r:.60}, which is no package", f"write {form}")
    return tuple(sorted(set(packages)))


def _pip(fields: Fields) -> tuple[str, ...]:
    packages = _packages(fields, "pip", _PIP, "NAME, NAME==VERSION or NAME>=VERSION")
    for item in packages:
        name = re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", item)[0]).lower()
        framework = _GPU_BUILDS.get(name)
        if framework not in (None, _framework(fields)):
            hint = f"write `framework: {framework}`, which brings the one for the GPU"
            raise fields.wrong("pip", f"holds {item!r:.60}, which an index has for CPUs only", hint)
    return packages


def _apt(fields: Fields) -> tuple[str, ...]:
    packages = _packages(fields, "apt", _APT, "NAME or NAME=VERSION")
    for item in packages:
        if _BOARD.match(item):
            hint = "the CUDA packages by name: cuda-*, libcudnn*, libnvinfer*"
            raise fields.wrong("apt", f"holds {item!r:.60}, which installs on a Jetson only", hint)
    return packages


def _env(fields: Fields) -> tuple[tuple[str, str], ...]:
    env = fields.fields("env")
    for key in env.names():
        if not _ENV.fullmatch(key):
            raise env.wrong(key, "cannot be the name of a variable", "letters, digits and '_'")
        if re.search(rf"\$\{{?{key}\b", env.line(key)):
            problem = "refers to its own value, and a '$' here stands for itself"
            raise env.wrong(key, problem, "write the whole value, that of the base with it")
    return tuple((key, env.line(key)) for key in sorted(env.names()))


def _workload(fields: Fields) -> Workload:
    fields.only(("kind", "gpus", "host_network"))
    kind = fields.line("kind", "batch")
    if kind not in KINDS:
        raise fields.wrong("kind", f"is {kind!r:.40}", f"one of {', '.join(KINDS)}")
    return Workload(kind, fields.number("gpus", 0, 16), fields.flag("host_network", False))


def _named(value: Any) -> str:
    names = {"NoneType": "nothing", "bool": "true or false", "int": "a number",
             "float": "a number", "str": "text", "list": "a list", "dict": "a mapping"}  # fmt: skip
    return names.get(type(value).__name__, f"a {type(value).__name__}")
