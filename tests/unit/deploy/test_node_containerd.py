"""containerd's config.toml: nvidia added, everything else and every comment kept."""

from __future__ import annotations

import tomllib

import pytest

from deploy.node_containerd import edit_config_toml
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
