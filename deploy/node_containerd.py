"""containerd's config.toml with the nvidia runtime.

Config versions: 2 (containerd 1.3 on) names the CRI plugin `io.containerd.grpc.v1.cri`; 3
(containerd 2.0 on) splits it into `io.containerd.cri.v1.runtime` and `…cri.v1.images`. A table
under the other version's name is ignored without a word, which is why the version decides.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from deploy.node_files import RUNTIME, Edit, RuntimeWish
from registry.errors import BadInput

CRI_V2 = "io.containerd.grpc.v1.cri"
CRI_RUNTIME_V3 = "io.containerd.cri.v1.runtime"
CRI_IMAGES_V3 = "io.containerd.cri.v1.images"
RUNTIME_V1_LINUX = "io.containerd.runtime.v1.linux"
RUNC_V2 = "io.containerd.runc.v2"
FRESH = "version = {version}\n"

Table = MutableMapping[str, Any]


def edit_config_toml(text: str, wish: RuntimeWish, name: str = "config.toml") -> Edit:
    """config.toml with the nvidia runtime added; comments and all else stay as they were.

    Raises BadInput when the text is not TOML, or of a version whose layout is not known.
    """
    start = text if text.strip() else FRESH.format(version=wish.containerd_version)
    config = _parse(start, name)
    notes: list[str] = []
    version = _settle_version(config, notes, name)
    runtime_plugin = CRI_RUNTIME_V3 if version == 3 else CRI_V2
    _enable_cri(config, runtime_plugin, notes)
    plugins = _table(config, "plugins", name)
    _drop_runtime_v1(plugins, notes)
    cri = _table(plugins, runtime_plugin, name)
    _add_runtime(_table(cri, "containerd", name), wish, notes, name)
    if wish.sandbox_image:
        _set_sandbox(plugins, cri, version, wish.sandbox_image, notes, name)
    if wish.cdi is not None:
        _set(cri, "enable_cdi", wish.cdi, notes, "CDI device injection")
    if config.get("imports"):
        notes.append(
            "note: `imports` is set; before containerd 2.1 an imported file replaces whole plugin"
            " tables, so check the result with `containerd config dump`"
        )
    changes = [note for note in notes if not note.startswith("note:")]
    after = _dump(config) if changes else start
    return Edit(text, after if changes or not text.strip() else text, tuple(notes))


def _parse(text: str, name: str) -> Table:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        parsed: Table = tomlkit.parse(text)
    except TOMLKitError as error:
        raise BadInput(f"{name} is not TOML", str(error), "correct it there") from error
    return parsed


def _dump(config: Table) -> str:
    import tomlkit

    return tomlkit.dumps(config)


def _settle_version(config: Table, notes: list[str], name: str) -> int:
    version = config.get("version", 1)
    if version in (2, 3):
        return int(version)
    if version != 1:
        raise BadInput(f"{name} has config version {version!r}", "versions 2 and 3 are known")
    if "plugins" in config:
        raise BadInput(
            f"{name} is of config version 1, which current containerd no longer reads as written",
            "its plugin tables have other names",
            "run `containerd config migrate` (1.7) and use what it prints",
        )
    _put_first(config, "version", 2)
    notes.append("version: 2, the layout containerd 1.x documents")
    return 2


def _put_first(config: Table, key: str, value: int) -> None:
    import tomlkit

    items = list(config.items())
    for name, _ in items:
        del config[name]
    config[key] = tomlkit.item(value)
    for name, item in items:
        if name != key:
            config[name] = item


def _enable_cri(config: Table, plugin: str, notes: list[str]) -> None:
    disabled = config.get("disabled_plugins")
    if not disabled:
        return
    kept = [item for item in disabled if item not in ("cri", CRI_V2, plugin)]
    if len(kept) != len(disabled):
        config["disabled_plugins"] = kept
        notes.append("disabled_plugins: CRI enabled, without it no kubelet or edged can run a pod")


def _drop_runtime_v1(plugins: Table, notes: list[str]) -> None:
    linux = plugins.get(RUNTIME_V1_LINUX)
    if linux is None or "nvidia" not in str(linux.get("runtime", "")):
        return
    del plugins[RUNTIME_V1_LINUX]
    notes.append(
        f"removed {RUNTIME_V1_LINUX}: CRI and `ctr run` use runtime v2, so nvidia set there is"
        " never used, and containerd 2.0 has no such plugin; the runtimes.nvidia entry does it"
    )


def _add_runtime(containerd: Table, wish: RuntimeWish, notes: list[str], name: str) -> None:
    runtimes = _table(containerd, "runtimes", name)
    runc_options = (runtimes.get("runc") or {}).get("options") or {}
    systemd = wish.systemd_cgroup
    if systemd is None:
        systemd = bool(runc_options.get("SystemdCgroup", False))
    elif "runc" in runtimes or wish.systemd_cgroup:
        runc = _table(runtimes, "runc", name)
        _set(runc, "runtime_type", runc.get("runtime_type") or RUNC_V2, notes, "")
        why = "the same cgroup driver in both runtimes and in edgecore or kubelet"
        _set(_table(runc, "options", name), "SystemdCgroup", systemd, notes, why)
    nvidia = _table(runtimes, RUNTIME, name)
    _set(nvidia, "runtime_type", RUNC_V2, notes, "without it: `Runtime.Name must be set`")
    options = _table(nvidia, "options", name)
    if not options.get("BinaryName"):
        _set(options, "BinaryName", wish.binary, notes, "the runtime that brings the GPU in")
    _set(options, "SystemdCgroup", systemd, notes, "as in runc's entry")
    if wish.default:
        why = "edged cannot resolve a RuntimeClass, so nvidia must be the default"
        _set(containerd, "default_runtime_name", RUNTIME, notes, why)


def _set_sandbox(
    plugins: Table, cri: Table, version: int, image: str, notes: list[str], name: str
) -> None:
    if version == 2:
        _set(cri, "sandbox_image", image, notes, "the pause image")
        return
    pinned = _table(_table(plugins, CRI_IMAGES_V3, name), "pinned_images", name)
    _set(pinned, "sandbox", image, notes, "the pause image")


def _set(table: Table, key: str, value: Any, notes: list[str], why: str) -> None:
    if table.get(key) == value:
        return
    table[key] = value
    shown = str(value).lower() if isinstance(value, bool) else value
    notes.append(f"{key}: {shown}" + (f" ({why})" if why else ""))


def _table(parent: Table, key: str, name: str) -> Table:
    import tomlkit

    found = parent.get(key)
    if found is None:
        parent[key] = tomlkit.table()
        found = parent[key]
    if not isinstance(found, MutableMapping):
        raise BadInput(f"`{key}` in {name} is not a table", repr(found)[:80])
    return found
