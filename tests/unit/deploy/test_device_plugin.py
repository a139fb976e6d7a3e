"""GPU sharing: a config the plugin takes, a DaemonSet that works on Tegra."""

from __future__ import annotations

import kubernetes_validate
import pytest
import yaml

from deploy.device_plugin import (
    DevicePlugin,
    check_sharing,
    choose_version,
    device_plugin,
    needs,
    plugin_config,
    warnings,
)
from deploy.workload import KUBELET
from registry.errors import BadInput, Refused

R35 = (35, 5, 0)


def plugin(replicas: int = 3, target: str = "kubeedge", asked: str = "") -> DevicePlugin:
    return DevicePlugin(choose_version(R35, asked), replicas, target)


def test_three_replicas_share_by_time_slicing() -> None:
    config = plugin_config(plugin(3))
    assert config["version"] == "v1"
    assert config["sharing"]["timeSlicing"]["resources"] == [
        {"name": "nvidia.com/gpu", "replicas": 3}
    ]


def test_one_replica_has_no_sharing_block() -> None:
    assert "sharing" not in plugin_config(plugin(1))
    assert warnings(plugin(1)) == []


def test_config_map_holds_the_config_as_yaml_and_the_daemonset_reads_it() -> None:
    config_map, daemonset = device_plugin(plugin(3))
    (name,) = config_map["data"]
    assert yaml.safe_load(config_map["data"][name]) == plugin_config(plugin(3))
    spec = daemonset["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    folder = container["volumeMounts"][1]["mountPath"]
    assert container["args"] == [f"--config-file={folder}/{name}"]
    assert spec["volumes"][1]["configMap"]["name"] == config_map["metadata"]["name"]


def test_daemonset_keeps_what_the_hand_written_one_had() -> None:
    spec = device_plugin(plugin())[1]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["priorityClassName"] == "system-node-critical"
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in spec[
        "tolerations"
    ]
    assert {"name": "FAIL_ON_INIT_ERROR", "value": "false"} in container["env"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["volumes"][0]["hostPath"]["path"] == "/var/lib/kubelet/device-plugins"
    assert "runtimeClassName" not in spec


def test_it_replaces_the_hand_written_one_in_place() -> None:
    config_map, daemonset = device_plugin(plugin())
    assert config_map["metadata"]["name"] == "nvidia-config"
    assert (daemonset["metadata"]["name"], daemonset["metadata"]["namespace"]) == (
        "nvidia-device-plugin-daemonset",
        "kube-system",
    )
    assert daemonset["spec"]["selector"] == {"matchLabels": {"name": "nvidia-device-plugin-ds"}}
    labels = daemonset["spec"]["template"]["metadata"]["labels"]
    assert labels["name"] == "nvidia-device-plugin-ds"


def test_another_config_makes_new_pods() -> None:
    def template(replicas: int) -> object:
        return device_plugin(plugin(replicas))[1]["spec"]["template"]

    assert template(3) == template(3)
    assert template(3) != template(4)


@pytest.mark.parametrize(
    ("major", "target", "said"),
    [(32, "kubeedge", "1.11.0"), (36, "kubelet", "1.14.0"), (38, "kubeedge", "1.18.0")],
)
def test_what_nodes_need_is_told(major: int, target: str, said: str) -> None:
    assert said in needs(major, target)
    assert ("default runtime" in needs(major, target)) == (target == "kubeedge")


def test_a_version_newer_than_any_known_is_told() -> None:
    assert "v0.20.0 is the newest known" in choose_version(R35, "0.99.0").reason


def test_strategy_is_set_from_the_version_that_knows_it() -> None:
    def names(asked: str) -> set[str]:
        spec = device_plugin(plugin(asked=asked))[1]["spec"]["template"]["spec"]
        return {item["name"] for item in spec["containers"][0]["env"]}

    assert "DEVICE_DISCOVERY_STRATEGY" in names("v0.16.0")
    assert "DEVICE_DISCOVERY_STRATEGY" not in names("v0.15.0")


@pytest.mark.parametrize(
    ("l4t", "asked"),
    [((36, 4, 3), "v0.15.0"), ((38, 2, 0), "v0.17.2"), ((35, 5, 0), "0.12.3")],
)
def test_versions_too_old_for_the_release_are_refused(
    l4t: tuple[int, int, int], asked: str
) -> None:
    with pytest.raises(Refused):
        choose_version(l4t, asked)


def test_a_version_that_is_none_is_bad_input() -> None:
    with pytest.raises(BadInput):
        choose_version(R35, "latest")


def test_mps_is_refused_and_no_replicas_are_bad_input() -> None:
    with pytest.raises(Refused, match="MPS"):
        check_sharing(3, "mps")
    with pytest.raises(BadInput):
        check_sharing(0, "time-slicing")
    with pytest.raises(BadInput):
        check_sharing(2**31, "time-slicing")


@pytest.mark.parametrize("target", ["kubeedge", "kubelet"])
@pytest.mark.parametrize("version", ["1.26", "1.37"])
def test_every_object_passes_the_strict_schemas(target: str, version: str) -> None:
    objects = device_plugin(plugin(3, target))
    assert len(objects) == (3 if target == KUBELET else 2)
    for item in objects:
        kubernetes_validate.validate(item, version, strict=True)
