"""Docker's daemon.json with the nvidia runtime.

Keys: dockerd's "Daemon configuration file" reference; `features.cdi` is Docker 26.1 on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from deploy.json_edit import set_value
from deploy.node_files import RUNTIME, Edit, PlainText, RuntimeWish
from registry.errors import BadInput

NO_SANDBOX = "the pause image is no matter of daemon.json: cri-dockerd --pod-infra-container-image"


def edit_daemon_json(text: str, wish: RuntimeWish, name: str = "daemon.json") -> Edit:
    """daemon.json with the nvidia runtime added; everything else stays as it was.

    Raises BadInput for what dockerd would not read either (comments, no object), and for duplicate
    keys.
    """
    form = PlainText.of(text)
    config = _parse(form.text, name)
    changes: list[tuple[Sequence[str], Any, str]] = []
    entry = _mapping(_mapping(config, "runtimes", name), RUNTIME, name)
    if not entry.get("path") and not entry.get("runtimeType"):
        why = f"runtimes.nvidia: {wish.binary}"
        changes.append((("runtimes", RUNTIME, "path"), wish.binary, why))
    if wish.default and config.get("default-runtime") != RUNTIME:
        why = "default-runtime: nvidia, so that pods get the GPU without naming a runtime"
        changes.append((("default-runtime",), RUNTIME, why))
    if wish.systemd_cgroup is not None:
        changes += _cgroup_driver(config, wish.systemd_cgroup, name)
    if wish.cdi is not None and _mapping(config, "features", name).get("cdi") != wish.cdi:
        why = f"features.cdi: {str(wish.cdi).lower()} (Docker 26.1 or newer)"
        changes.append((("features", "cdi"), wish.cdi, why))
    warnings = (NO_SANDBOX,) if wish.sandbox_image else ()
    if not changes:
        return Edit(text, text, (), warnings)
    after = form.text if form.text.strip() else "{}\n"
    for path, value, _ in changes:
        after = set_value(after, path, value)
    after = after if after.endswith("\n") else after + "\n"
    return Edit(text, form.restored(after), tuple(why for _, _, why in changes), warnings)


def default_runtime(text: str) -> str | None:
    """The runtime that a daemon.json makes the default, runc where it says none; None: no JSON."""
    try:
        return str(_parse(PlainText.of(text).text, "").get("default-runtime") or "runc")
    except BadInput:
        return None


def _cgroup_driver(
    config: dict[str, Any], systemd: bool, name: str
) -> list[tuple[Sequence[str], Any, str]]:
    options = config.get("exec-opts")
    options = [] if options is None else options
    if not isinstance(options, list) or not all(isinstance(item, str) for item in options):
        raise BadInput(f"`exec-opts` in {name} is not a list of strings", repr(options)[:80])
    wanted = f"native.cgroupdriver={'systemd' if systemd else 'cgroupfs'}"
    if wanted in options:
        return []
    kept = [item for item in options if not item.startswith("native.cgroupdriver=")]
    why = f"exec-opts: {wanted}, the driver edgecore and kubelet must use too"
    return [(("exec-opts",), [*kept, wanted], why)]


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

    def no_number(text: str) -> NoReturn:
        raise BadInput(f"{name} is not JSON", f"{text} is no number there", "correct it there")

    try:
        value = json.loads(
            text, object_pairs_hook=no_duplicates, parse_constant=no_number, parse_int=float
        )
    except json.JSONDecodeError as error:
        raise _not_json(text, error, name) from error
    except RecursionError as error:
        raise BadInput(f"{name} is not a daemon.json", "nested too deeply") from error
    if not isinstance(value, dict):
        raise BadInput(f"{name} must hold a JSON object", f"it holds {type(value).__name__}")
    return value


def _not_json(text: str, error: json.JSONDecodeError, name: str) -> BadInput:
    place = f"line {error.lineno}, column {error.colno}: {error.msg}"
    rest = text[error.pos :].lstrip()
    comment = re.match(r"//|#|/\*", rest) is not None
    hint = "JSON has no comments: remove them" if comment else "correct it there"
    return BadInput(f"{name} is not JSON", place, hint)


def _mapping(config: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    """The object under a key, empty where there is none."""
    value = config.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadInput(f"`{key}` in {name} is not an object", repr(value)[:80])
    return value
