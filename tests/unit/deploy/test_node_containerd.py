"""containerd's config.toml: nvidia added, everything else and every comment kept."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from deploy.node_containerd import RUNTIME_V1_LINUX, edit_config_toml
from deploy.node_files import RuntimeWish
from registry.errors import BadInput

V2 = "io.containerd.grpc.v1.cri"
V3 = "io.containerd.cri.v1.runtime"

HAND_EDITED = """\
version = 2
# where images live
root = "/data/containerd"

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "k8s.gcr.io/pause:3.6" # mirrored
    [plugins."io.containerd.grpc.v1.cri".containerd]
      default_runtime_name = "runc"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
        runtime_type = "io.containerd.runc.v2"
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
          SystemdCgroup = true
  [plugins."io.containerd.runtime.v1.linux"]
    shim = "containerd-shim"
    runtime = "nvidia-container-runtime"

[metrics]
  address = "127.0.0.1:1338"
"""


def test_fresh_file_has_nvidia_as_the_default_runtime() -> None:
    edit = edit_config_toml("", RuntimeWish())
    containerd = tomllib.loads(edit.after)["plugins"][V2]["containerd"]
    assert containerd["default_runtime_name"] == "nvidia"
    assert containerd["runtimes"]["nvidia"] == {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"BinaryName": "/usr/bin/nvidia-container-runtime", "SystemdCgroup": False},
    }


def test_version_three_uses_the_split_plugins() -> None:
    wish = RuntimeWish(containerd_version=3, sandbox_image="h.example/pause:3.10")
    plugins = tomllib.loads(edit_config_toml("", wish).after)["plugins"]
    assert plugins[V3]["containerd"]["default_runtime_name"] == "nvidia"
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == (
        "h.example/pause:3.10"
    )
    assert V2 not in plugins


def test_what_was_there_is_kept_comments_included() -> None:
    edit = edit_config_toml(HAND_EDITED, RuntimeWish(sandbox_image="h.example/pause:3.8"))
    before, after = tomllib.loads(HAND_EDITED), tomllib.loads(edit.after)
    assert after["root"] == before["root"]
    assert after["metrics"] == before["metrics"]
    assert "# where images live" in edit.after
    assert '"h.example/pause:3.8" # mirrored' in edit.after
    runc = before["plugins"][V2]["containerd"]["runtimes"]["runc"]
    assert after["plugins"][V2]["containerd"]["runtimes"]["runc"] == runc


def test_cgroup_driver_follows_runc() -> None:
    after = tomllib.loads(edit_config_toml(HAND_EDITED, RuntimeWish()).after)
    runtimes = after["plugins"][V2]["containerd"]["runtimes"]
    assert runtimes["nvidia"]["options"]["SystemdCgroup"] is True


def test_cgroup_driver_asked_for_is_set_in_both() -> None:
    after = tomllib.loads(edit_config_toml(HAND_EDITED, RuntimeWish(systemd_cgroup=False)).after)
    runtimes = after["plugins"][V2]["containerd"]["runtimes"]
    assert {name: runtimes[name]["options"]["SystemdCgroup"] for name in runtimes} == {
        "runc": False,
        "nvidia": False,
    }


def test_runtime_v1_beside_cri_is_removed_and_explained() -> None:
    edit = edit_config_toml(HAND_EDITED, RuntimeWish())
    assert "io.containerd.runtime.v1.linux" not in tomllib.loads(edit.after)["plugins"]
    assert any("runtime v2" in note for note in edit.notes)


def test_docker_packaged_file_gets_cri_enabled() -> None:
    edit = edit_config_toml('# from the package\ndisabled_plugins = ["cri"]\n', RuntimeWish())
    after = tomllib.loads(edit.after)
    assert (after["version"], after["disabled_plugins"]) == (2, [])
    assert "# from the package" in edit.after


@pytest.mark.parametrize("text", ["", HAND_EDITED, 'disabled_plugins = ["cri"]\n', "version = 3\n"])
def test_a_second_run_changes_nothing(text: str) -> None:
    wish = RuntimeWish(sandbox_image="h.example/pause:3.8", cdi=True)
    once = edit_config_toml(text, wish)
    again = edit_config_toml(once.after, wish)
    assert once.changed
    assert not again.changed
    assert again.diff("config.toml") == ""


@pytest.mark.parametrize(
    "text",
    [
        "version = \n",
        "version = 7\n",
        '[plugins.cri]\nx = "v1"\n',
        "version = 2\nplugins = 3\n",
        "{}",
        "[a\n",
        "a = 1\na = 2\n",
    ],
)
def test_what_containerd_would_not_read_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        edit_config_toml(text, RuntimeWish())


def runtimes(text: str, plugin: str = V2) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(text)["plugins"][plugin]["containerd"]["runtimes"]
    return found


@pytest.mark.parametrize(("version", "plugin"), [(2, V2), (3, V3)])
def test_runc_is_stated_too_for_the_table_replaces_containerds_own(
    version: int, plugin: str
) -> None:
    wish = RuntimeWish(default=False, systemd_cgroup=True, containerd_version=version)
    edit = edit_config_toml("", wish)
    assert runtimes(edit.after, plugin)["runc"] == {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"SystemdCgroup": True},
    }
    assert any("runtimes.runc" in note for note in edit.notes)


def test_runc_without_a_type_gets_one() -> None:
    text = f'version = 2\n[plugins."{V2}".containerd.runtimes.runc.options]\nSystemdCgroup = true\n'
    assert runtimes(edit_config_toml(text, RuntimeWish()).after)["runc"] == {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"SystemdCgroup": True},
    }


@pytest.mark.parametrize(
    "text",
    [
        f'version = 2\nplugins."{V2}".containerd.runtimes.runc.runtime_type = "x.runc.v2"\n',
        f'plugins = {{"{V2}" = {{sandbox_image = "a/b:1"}}}}\nversion = 2\n',
        f'version = 2\n[plugins]\n"{V2}" = {{containerd = {{runtimes = {{}}}}}} # mine\n',
        f'version = 2\n[plugins."{V2}".containerd.runtimes.runc.options]\nSystemdCgroup = false\n'
        f'[metrics]\naddress = ""\n[plugins."{V2}"]\nsandbox_image = "a/b:1"\n',
        "#! only a comment",
        "version = 2",
    ],
    ids=["dotted", "inline", "inline in a table", "out of order", "comment", "no line end"],
)
def test_toml_in_every_notation_is_edited(text: str) -> None:
    edit = edit_config_toml(text, RuntimeWish(sandbox_image="h.example/pause:3.8"))
    assert runtimes(edit.after)["nvidia"]["runtime_type"] == "io.containerd.runc.v2"
    assert not edit_config_toml(
        edit.after, RuntimeWish(sandbox_image="h.example/pause:3.8")
    ).changed
    for comment in ("#! only a comment", "# mine"):
        assert (comment in edit.after) == (comment in text)


def test_byte_order_mark_and_line_ends_stay() -> None:
    text = "\ufeff" + HAND_EDITED.replace("\n", "\r\n")
    after = edit_config_toml(text, RuntimeWish()).after
    assert after.startswith("\ufeffversion = 2\r\n")
    assert after.count("\n") == after.count("\r\n")


def test_added_lines_stand_as_those_around_them() -> None:
    after = edit_config_toml(HAND_EDITED, RuntimeWish()).after
    added = (
        '\n      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]\n'
        '        runtime_type = "io.containerd.runc.v2"\n'
    )
    assert added in after
    assert "\n\n[metrics]" in after


def test_tables_named_as_version_two_names_them_make_it_version_two() -> None:
    text = HAND_EDITED.replace("version = 2\n", "")
    edit = edit_config_toml(text, RuntimeWish())
    assert edit.after.startswith("version = 2\n")
    assert any("without it containerd reads version 1" in note for note in edit.notes)
    assert RUNTIME_V1_LINUX not in edit.after
    three = f'["plugins"."{V3}"]\nenable_cdi = true\n'
    assert edit_config_toml(three, RuntimeWish()).after.startswith("version = 3\n")


def test_plugins_switched_off_by_short_names_are_named_whole() -> None:
    edit = edit_config_toml('disabled_plugins = ["cri", "zfs"] # mine\n', RuntimeWish())
    after = tomllib.loads(edit.after)
    assert after["disabled_plugins"] == ["io.containerd.snapshotter.v1.zfs"]
    assert "# mine" in edit.after
    with pytest.raises(BadInput, match="a name of config version 1"):
        edit_config_toml('disabled_plugins = ["restart"]\n', RuntimeWish())


def test_the_line_for_the_version_moves_nothing_else() -> None:
    text = '# licence\n\n# CRI is off\ndisabled_plugins = ["cri"]\n\n# root = "/x"\n'
    after = edit_config_toml(text, RuntimeWish()).after
    assert after.startswith("version = 2\n" + text.replace('["cri"]', "[]"))


def test_what_would_undo_the_edit_is_warned_of() -> None:
    generated = "# File generated by k3s. DO NOT EDIT. Use config.toml.tmpl instead.\nversion = 2\n"
    assert "k3s" in edit_config_toml(generated, RuntimeWish()).warnings[0]
    misplaced = f'version = 3\n[plugins."{V2}".containerd]\ndefault_runtime_name = "nvidia"\n'
    assert (
        "of config version 2 and ignored" in edit_config_toml(misplaced, RuntimeWish()).warnings[0]
    )
    importing = 'version = 2\nimports = ["conf.d/*.toml"]\n'
    drop_in = f'[plugins."{V2}".containerd]\ndefault_runtime_name = "runc"\n'
    assert "config dump" in edit_config_toml(importing, RuntimeWish()).warnings[0]
    for text, count in ((drop_in, 1), ("# " + drop_in, 0), ("[metrics]\n", 0)):
        given = {"/etc/containerd/conf.d/a.toml": text}
        warnings = edit_config_toml(importing, RuntimeWish(), imported=given).warnings
        assert len(warnings) == count, warnings
        assert all("/etc/containerd/conf.d/a.toml" in item for item in warnings)


@pytest.mark.parametrize(
    "text",
    [
        "version = true\n",
        'version = "2"\n',
        'version = 2\ndisabled_plugins = "cri"\n',
        "version = 2\ndisabled_plugins = [1]\n",
        f'version = 2\n[plugins."{V2}".containerd]\nruntimes = 3\n',
        f'version = 2\n[plugins."{V2}".containerd.runtimes]\nrunc = "x"\n',
        f'version = 2\n[plugins."{V2}".containerd.runtimes]\nnvidia = ["x"]\n',
        "a = " + "[" * 3000 + "]" * 3000 + "\n",
    ],
)
def test_values_of_the_wrong_kind_are_bad_input(text: str) -> None:
    with pytest.raises(BadInput):
        edit_config_toml(text, RuntimeWish())
