"""What the last stage of a Dockerfile does to its base, worked out without running anything.

Most images for Jetsons only put files and settings on NVIDIA's base. Such a stage needs nothing
of the base but its config, so its result can be computed, and grafted onto the base unseen.
The meaning of each instruction follows BuildKit's Dockerfile frontend.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Any

from builder.instructions import Instruction, expand, final_stage, pairs, words
from registry.errors import BadInput, Refused

_OWNER = re.compile(r"(\d+)(?::(\d+))?")
_NEEDS_CONTENT = {
    "RUN": "it runs a command in the image",
    "WORKDIR": "it may make a folder, depending on what the base holds",
    "ADD": "it may unpack or download",
}
# Flags of COPY whose meaning is known here; no other instruction that is handled has any.
_FLAGS = frozenset({"link", "chown"})
_PORTS = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_SHELL = ["/bin/sh", "-c"]
# What BuildKit gives an image that has no PATH of its own.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Copy:
    """A `COPY --link` of the last stage.

    sources: paths in the build context, or in another stage when from_stage is set.
    target: absolute path; a folder when it ends with a slash.
    """

    sources: tuple[str, ...]
    target: str
    uid: int
    gid: int
    from_stage: str = ""


@dataclass(frozen=True)
class Result:
    """The image config's `config` object after the stage, and its steps as (text, copy or None)."""

    settings: dict[str, Any]
    steps: tuple[tuple[str, Copy | None], ...]


def obstacle(stage: Sequence[Instruction]) -> str | None:
    """Why a stage cannot be built without its base's content; None when it can.

    stage: FROM and what follows. The answer names the line and the instruction.
    """
    for item in stage[1:]:
        why = _NEEDS_CONTENT.get(item.keyword)
        if item.keyword == "COPY":
            why = _copy_obstacle(item)
        if why is not None:
            return f"line {item.line}, {item.keyword}: {why}"
    return None


def needs_buildx(stage: Sequence[Instruction]) -> str | None:
    """Why only BuildKit can build the stage; None when `interpret` can."""
    why = obstacle(stage)
    if why is not None:
        return why
    for item in stage[1:]:
        if item.flags.get("from") or item.heredoc:
            return f"line {item.line}, {item.keyword}: it takes files from another stage"
        unknown = sorted(item.flags.keys() - _FLAGS)
        if unknown:
            return f"line {item.line}, {item.keyword}: only buildx knows --{unknown[0]}"
        if item.keyword not in _HANDLERS and item.keyword != "COPY":
            return f"line {item.line}, {item.keyword}: only buildx knows this instruction"
    return None


def beyond_stage(instructions: Sequence[Instruction], base: str) -> str | None:
    """Why more than the last stage needs the content of the base; None when nothing does.

    base: the reference by which the Dockerfile names it. Whoever replaces the base by something
    empty replaces it wherever it is named.
    """
    starts = [item for item in instructions if item.keyword == "FROM"]
    for item in starts[:-1]:
        if _image_of(item) == base:
            return f"line {item.line}, FROM: another stage is built on the base too"
    if starts and _image_of(starts[-1]) != base:
        return f"line {starts[-1].line}, FROM: the last stage does not begin with {base}"
    for item in instructions:
        if f"from={base}" in item.text:
            return f"line {item.line}, {item.keyword}: it takes files from the base"
    return None


def only_buildx(instructions: Sequence[Instruction], base: str) -> str | None:
    """Why only BuildKit can build a whole Dockerfile on a base; None when `interpret` can."""
    for item in instructions:
        if item.keyword == "FROM":
            break
        if item.keyword == "ARG":
            return f"line {item.line}, ARG: only buildx knows one before the first FROM"
    for item in instructions:
        if item.keyword == "FROM" and item.flags:
            return f"line {item.line}, FROM: only buildx knows its flags"
    return beyond_stage(instructions, base) or needs_buildx(final_stage(instructions))


def interpret(
    stage: Sequence[Instruction],
    settings: Mapping[str, Any],
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
) -> Result:
    """The stage's effect on a base whose `config` object is `settings`.

    arguments: values for ARG. labels: added after the stage's own, as `buildx --label` does.
    Raises Refused when the stage needs BuildKit, BadInput for an instruction that is wrong.
    """
    why = needs_buildx(stage)
    if why is not None:
        raise Refused(
            "the direct engine cannot build this Dockerfile", why, "build it with --engine buildx"
        )
    state = _State(dict(settings), dict(arguments))
    if state.settings.get("OnBuild"):
        raise Refused(
            "the direct engine cannot build on this base",
            "the base has ONBUILD instructions",
            "build it with --engine buildx",
        )
    steps: list[tuple[str, Copy | None]] = []
    for item in stage[1:]:
        if item.keyword == "COPY":
            steps.append((item.text, copy_of(item, state.variables, state.workdir)))
            continue
        _HANDLERS[item.keyword](item, state)
        steps.append((item.text, None))
    return Result(with_labels(_without_empty(state.settings, settings), labels), tuple(steps))


def is_linked(item: Instruction) -> bool:
    """Whether this is a COPY whose layer does not depend on what lies under it."""
    return item.keyword == "COPY" and _copy_obstacle(item) is None


def steps_of(stage: Sequence[Instruction]) -> list[tuple[str, bool]]:
    """(text, makes a layer) of every instruction after FROM, for a stage without obstacle."""
    return [(item.text, item.keyword == "COPY") for item in stage[1:]]


def with_labels(settings: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """The settings with these labels added."""
    result = dict(settings)
    if labels:
        result["Labels"] = dict(settings.get("Labels") or {}) | dict(labels)
    return result


def copied(copy: Copy, context: Sequence[str]) -> list[tuple[str, str]]:
    """(path in the context, path in the image) of every file a COPY puts into the image.

    context: every file's path. Raises BadInput when a source is not there.
    """
    found: list[tuple[str, str]] = []
    several = len(copy.sources) > 1
    for pattern in copy.sources:
        matches = _matching(normpath(pattern.strip("/") or "."), context)
        if not matches:
            raise BadInput(f"COPY {pattern}: the build context has no such file")
        several = several or len(matches) > 1
        for source, files in matches.items():
            if several and not copy.target.endswith("/"):
                what = f"COPY to {copy.target}: several sources need a target ending in /"
                raise BadInput(what, "it is a folder then", f"write {copy.target}/")
            if files == [source]:
                name = PurePosixPath(source).name if copy.target.endswith("/") else ""
                found.append((source, _joined(copy.target, name)))
                continue
            start = len(source) + 1 if source else 0
            found.extend((file, _joined(copy.target, file[start:])) for file in files)
    return found


def copy_of(item: Instruction, variables: Mapping[str, str], workdir: str) -> Copy:
    """A COPY instruction as a value; raises BadInput when it has no source or no target."""
    listed = item.exec_form() or []
    # In shell form quotes do not keep spaces together: that is what the JSON form is for.
    found = listed or item.exact.split()
    paths = [expand(path, variables, item.escape) for path in found]
    if len(paths) < 2:
        raise BadInput(f"line {item.line}: COPY needs a source and a target")
    target = paths[-1]
    if not target.startswith("/"):
        target = f"{workdir.rstrip('/')}/{target.removeprefix('./')}"
    folder = target.endswith(("/", "/."))
    if ".." in target.split("/"):
        raise BadInput(f"line {item.line}: COPY to {paths[-1]} leaves its folder")
    target = normpath(f"/{target.strip('/')}")
    if folder and target != "/":
        target += "/"
    owner = _OWNER.fullmatch(expand(item.flags.get("chown", "0:0"), variables))
    if owner is None:
        raise BadInput(f"line {item.line}: --chown must be numeric, UID:GID")
    uid = int(owner[1])
    return Copy(
        tuple(paths[:-1]),
        target,
        uid,
        int(owner[2]) if owner[2] is not None else uid,
        item.flags.get("from", ""),
    )


@dataclass
class _State:
    settings: dict[str, Any]
    arguments: Mapping[str, str]

    def __post_init__(self) -> None:
        self.env = dict(
            item.partition("=")[::2] for item in self.settings.get("Env") or [] if "=" in item
        )
        if "PATH" not in self.env:
            self.env["PATH"] = _PATH
            self.settings["Env"] = [*(self.settings.get("Env") or []), f"PATH={_PATH}"]
        self.declared: dict[str, str] = {}
        self.command_set = False

    @property
    def variables(self) -> dict[str, str]:
        return self.declared | self.env

    @property
    def workdir(self) -> str:
        return str(self.settings.get("WorkingDir") or "/")

    def shell_or_exec(self, item: Instruction) -> list[str]:
        listed = item.exec_form()
        if listed is not None:
            return listed
        _refuse_mixed(item)
        return [*(self.settings.get("Shell") or _SHELL), item.exact]


def _without_empty(made: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """What `ENTRYPOINT []` and its like emptied is left out, as BuildKit does."""
    result = dict(made)
    for key in ("Cmd", "Entrypoint", "User"):
        if key in result and not result[key]:
            del result[key]
            if key in base and not base[key]:
                result[key] = base[key]
    return result


def _env(item: Instruction, state: _State) -> None:
    state.env |= dict(pairs(item, state.variables))
    state.settings["Env"] = [f"{key}={value}" for key, value in state.env.items()]


def _label(item: Instruction, state: _State) -> None:
    state.settings = with_labels(state.settings, dict(pairs(item, state.variables)))


def _arg(item: Instruction, state: _State) -> None:
    for word in words(item.exact, state.variables, item.escape):
        name, equals, default = word.partition("=")
        if name in state.arguments:
            state.declared[name] = state.arguments[name]
        elif equals:
            state.declared[name] = default


def _cmd(item: Instruction, state: _State) -> None:
    state.settings["Cmd"] = state.shell_or_exec(item)
    state.command_set = True


def _entrypoint(item: Instruction, state: _State) -> None:
    state.settings["Entrypoint"] = state.shell_or_exec(item)
    # A base's CMD was meant for the base's ENTRYPOINT.
    if not state.command_set and state.settings.get("Cmd"):
        state.settings.pop("Cmd", None)


def _user(item: Instruction, state: _State) -> None:
    state.settings["User"] = expand(item.exact, state.variables, item.escape)


def _expose(item: Instruction, state: _State) -> None:
    ports = dict(state.settings.get("ExposedPorts") or {})
    found = [expand(word, state.variables, item.escape) for word in item.exact.split()]
    for word in " ".join(found).split():
        match = _PORTS.fullmatch(word)
        if match is None:
            raise BadInput(f"line {item.line}: {word!r} is not a port")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < 65536:
            raise BadInput(f"line {item.line}: {word!r} is not a range of ports")
        kind = (match[3] or "tcp").lower()
        ports |= {f"{number}/{kind}": {} for number in range(first, last + 1)}
    state.settings["ExposedPorts"] = ports


def _volume(item: Instruction, state: _State) -> None:
    found = item.exec_form() or item.exact.split()
    paths = [expand(path, state.variables, item.escape) for path in found]
    if not all(paths):
        raise BadInput(f"line {item.line}: VOLUME needs a path")
    known = dict(state.settings.get("Volumes") or {})
    state.settings["Volumes"] = known | {path: {} for path in paths}


def _stopsignal(item: Instruction, state: _State) -> None:
    signal = expand(item.exact, state.variables, item.escape)
    if not re.fullmatch(r"(SIG)?[A-Z0-9+-]+", signal, re.IGNORECASE):
        raise BadInput(f"line {item.line}: {signal!r} is not a signal")
    state.settings["StopSignal"] = signal


def _shell(item: Instruction, state: _State) -> None:
    listed = item.exec_form()
    if not listed:
        raise BadInput(f"line {item.line}: SHELL needs a JSON list")
    state.settings["Shell"] = listed


_HANDLERS: dict[str, Callable[[Instruction, _State], None]] = {
    "ENV": _env,
    "LABEL": _label,
    "ARG": _arg,
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "USER": _user,
    "EXPOSE": _expose,
    "VOLUME": _volume,
    "STOPSIGNAL": _stopsignal,
    "SHELL": _shell,
}


def _refuse_mixed(item: Instruction) -> None:
    """Raise BadInput for a JSON list that holds something else than text."""
    try:
        value = json.loads(item.rest)
    except ValueError:
        return
    if isinstance(value, list):
        raise BadInput(f"line {item.line}: {item.keyword} must be a list of texts only")


def _image_of(item: Instruction) -> str:
    """What a FROM names, its variables left as they are."""
    return item.rest.split(" ")[0]


def _copy_obstacle(item: Instruction) -> str | None:
    if item.flags.get("link", "false") not in ("true", "1"):
        return "without --link it is bound to the base's content"
    if "chmod" in item.flags:
        return "--chmod undoes --link; set modes in the definition"
    if not _OWNER.fullmatch(item.flags.get("chown", "0:0")) and "$" not in item.flags["chown"]:
        return "an owner by name needs the base's /etc/passwd; use numbers"
    return None


def _matching(pattern: str, context: Sequence[str]) -> dict[str, list[str]]:
    """source -> its files: a file maps to itself, a folder to all below it."""
    if pattern in ("", "."):
        return {"": list(context)} if context else {}
    depth = pattern.count("/") + 1
    found: dict[str, list[str]] = {}
    # BuildKit's patterns negate by ^, and ! is a character; in Python's it is the other way round.
    glob = re.sub(r"\[!([^\]]+)\]", r"[\1!]", pattern).replace("[^", "[!").split("/")
    for path in context:
        parts = path.split("/")
        head = parts[:depth]
        if len(head) == depth and all(map(fnmatch.fnmatchcase, head, glob)):
            found.setdefault("/".join(head), []).append(path)
    return found


def _joined(target: str, name: str) -> str:
    if not name:
        return target.rstrip("/")
    return f"{target.rstrip('/')}/{name}"
