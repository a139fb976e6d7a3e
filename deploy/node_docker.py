"""Docker's daemon.json with the nvidia runtime.

Keys: dockerd's "Daemon configuration file" reference; `features.cdi` is Docker 26.1 on.
"""

from __future__ import annotations

import json
import re
from typing import Any

from deploy.node_files import RUNTIME, Edit, RuntimeWish
from registry.errors import BadInput


def edit_daemon_json(text: str, wish: RuntimeWish, name: str = "daemon.json") -> Edit:
    """daemon.json with the nvidia runtime added; everything else stays as it was.

    Raises BadInput for what dockerd would not read either: comments, duplicate keys, no object.
    """
    config = _parse(text, name)
    notes: list[str] = []
    _add_runtime(config, wish, notes, name)
    if wish.default and config.get("default-runtime") != RUNTIME:
        config["default-runtime"] = RUNTIME
        notes.append("default-runtime: nvidia, so that pods get the GPU without naming a runtime")
    if wish.systemd_cgroup is not None:
        _set_cgroup_driver(config, wish.systemd_cgroup, notes, name)
    if wish.cdi is not None:
        features = _mapping(config, "features", name)
        if features.get("cdi") != wish.cdi:
            features["cdi"] = wish.cdi
            notes.append(f"features.cdi: {str(wish.cdi).lower()} (Docker 26.1 or newer)")
    if not notes:
        return Edit(text, text)
    after = json.dumps(config, indent=_indent(text), ensure_ascii=False) + "\n"
    return Edit(text, after, tuple(notes))


def _add_runtime(config: dict[str, Any], wish: RuntimeWish, notes: list[str], name: str) -> None:
    runtimes = _mapping(config, "runtimes", name)
    entry = runtimes.get(RUNTIME)
    if entry is not None and not isinstance(entry, dict):
        raise BadInput(f"`runtimes.nvidia` in {name} is not an object", repr(entry))
    if not (entry or {}).get("path"):
        runtimes[RUNTIME] = {**(entry or {}), "path": wish.binary}
        notes.append(f"runtimes.nvidia: {wish.binary}")


def _set_cgroup_driver(config: dict[str, Any], systemd: bool, notes: list[str], name: str) -> None:
    options = config.get("exec-opts", [])
    if not isinstance(options, list) or not all(isinstance(item, str) for item in options):
        raise BadInput(f"`exec-opts` in {name} is not a list of strings")
    wanted = f"native.cgroupdriver={'systemd' if systemd else 'cgroupfs'}"
    if wanted not in options:
        kept = [item for item in options if not item.startswith("native.cgroupdriver=")]
        config["exec-opts"] = [*kept, wanted]
        notes.append(f"exec-opts: {wanted}, the driver edgecore and kubelet must use too")


def _parse(text: str, name: str) -> dict[str, Any]:
    if not text.strip():
        return {}

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise BadInput(
                f"{name} has the key {twice[0]!r} twice", "", "keep one; dockerd uses the last"
            )
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=no_duplicates)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        line = text.splitlines()[error.lineno - 1] if text.splitlines() else ""
        comment = re.search(r"^\s*(//|#|/\*)", line) is not None
        hint = "JSON has no comments: remove them" if comment else "correct it there"
        raise BadInput(f"{name} is not JSON", place, hint) from error
    except RecursionError as error:
        raise BadInput(f"{name} is not a daemon.json", "nested too deeply") from error
    if not isinstance(value, dict):
        raise BadInput(f"{name} must hold a JSON object", f"it holds {type(value).__name__}")
    return value


def _mapping(config: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    value = config.setdefault(key, {})
    if not isinstance(value, dict):
        raise BadInput(f"`{key}` in {name} is not an object", repr(value)[:80])
    return value


def _indent(text: str) -> int | str:
    found = re.search(r"\n([ \t]+)\"", text)
    if not found:
        return 4
    return "\t" if "\t" in found[1] else len(found[1])
