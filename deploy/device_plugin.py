"""NVIDIA's device plugin for Jetson nodes: its config and its DaemonSet.

The plugin offers one `nvidia.com/gpu` per Jetson, or several shares of it by time-slicing. The
objects are named and selected as in NVIDIA's own manifest, the model of hand-written ones: applying
ours replaces them, where two plugins on a node would take the resource from each other.
Facts: k8s-device-plugin v0.20 (config API v1, replicas at least 2; Tegra since v0.13, Orin under
JetPack 6 since v0.16, Thor since v0.17.3; MPS starts NVML only and so fails on Tegra).
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import semver

from deploy.manifests import EDGE_ROLE, RUNTIME_CLASS, Object, runtime_class
from deploy.workload import GPU_RESOURCE, KUBEEDGE, KUBELET, MOST_REPLICAS, TARGETS
from deploy.yaml_text import to_yaml
from registry.errors import BadInput, Refused

IMAGE = "nvcr.io/nvidia/k8s-device-plugin"
NEWEST = "0.20.0"
STRATEGY_SINCE = semver.Version(0, 16, 0)
SOCKETS = "/var/lib/kubelet/device-plugins"
CONFIG_FOLDER = "/etc/nvidia"
CONFIG_KEY = "config"
NAME = "nvidia-device-plugin-daemonset"
CONFIG_MAP = "nvidia-config"
SELECTOR = {"name": "nvidia-device-plugin-ds"}


@dataclass(frozen=True)
class PluginVersion:
    """A version of the plugin (without `v`) and why it is the one."""

    version: str
    reason: str

    @property
    def takes_strategy(self) -> bool:
        """Whether this version knows --device-discovery-strategy."""
        return semver.Version.parse(self.version) >= STRATEGY_SINCE


@dataclass(frozen=True)
class DevicePlugin:
    """What is asked of the plugin: shares per GPU, where it runs, which version."""

    version: PluginVersion
    replicas: int = 1
    target: str = KUBEEDGE
    namespace: str = "kube-system"
    rename: bool = False


def choose_version(l4t: tuple[int, int, int], asked: str = "") -> PluginVersion:
    """The plugin's version for an L4T release (major, minor, patch).

    asked: a version the user named, with or without `v`; Refused when it cannot work on that
    release, BadInput when it is no version.
    """
    least, why = _least(l4t[0])
    if not asked:
        return PluginVersion(NEWEST, f"newest known; {why}")
    try:
        version = semver.Version.parse(asked.removeprefix("v"))
    except ValueError as error:
        why = "it has the form v0.20.0"
        raise BadInput(f"{asked!r} is not a version", why, f"write v{NEWEST}") from error
    if version < least:
        raise Refused(
            f"device plugin v{version} does not work on r{'.'.join(map(str, l4t))}",
            why,
            f"use v{least} or newer; v{NEWEST} is the newest known",
        )
    if version > semver.Version.parse(NEWEST):
        why = f"v{NEWEST} is the newest known; {why}"
    return PluginVersion(str(version), f"asked for; {why}")


def _least(major: int) -> tuple[semver.Version, str]:
    if major >= 38:
        return semver.Version(0, 17, 3), "Thor's GPU is recognised since v0.17.3"
    if major >= 36:
        return semver.Version(0, 16, 0), "Orin under JetPack 6 answers NVML; handled since v0.16.0"
    return semver.Version(0, 13, 0), "Tegra is supported since v0.13.0"


def least_toolkit(major: int) -> tuple[tuple[int, int, int], str]:
    """The nvidia-container-toolkit that a release's line needs, and what it does since then."""
    if major >= 38:
        return (1, 18, 0), "Thor's GPU is found"
    if major >= 36:
        return (1, 14, 0), "Orin's GPU is told from a discrete one"
    return (1, 11, 0), "the device plugin works with it"


def needs(major: int, target: str) -> str:
    """What a node must have for the plugin to offer its GPU, one line."""
    toolkit = ".".join(map(str, least_toolkit(major)[0]))
    runtime = "nvidia as the default runtime" if target == KUBEEDGE else "a runtime named nvidia"
    return (
        f"nodes need nvidia-container-toolkit {toolkit} or newer and {runtime}: imgctl node check"
    )


def check_sharing(replicas: int, strategy: str) -> None:
    """Refuse what cannot share a Jetson's GPU; BadInput or Refused."""
    if strategy == "mps":
        raise Refused(
            "MPS does not work on Jetson",
            "the plugin's MPS daemon asks NVML, which Tegra's GPU does not answer: the node would"
            " show 0 GPUs",
            "use time-slicing (--replicas N)",
        )
    if not 1 <= replicas <= MOST_REPLICAS:
        raise BadInput(f"{replicas} replicas cannot be", "", "give 1 (exclusive) or more")


def plugin_config(plugin: DevicePlugin) -> Object:
    """The plugin's own configuration; without a sharing block for one replica."""
    config: Object = {
        "version": "v1",
        "flags": {"migStrategy": "none", "failOnInitError": False},
    }
    if plugin.replicas > 1:
        config["sharing"] = {
            "timeSlicing": {
                "renameByDefault": plugin.rename,
                "failRequestsGreaterThanOne": True,
                "resources": [{"name": GPU_RESOURCE, "replicas": plugin.replicas}],
            }
        }
    return config


def device_plugin(plugin: DevicePlugin) -> list[Object]:
    """ConfigMap and DaemonSet (with the RuntimeClass on a plain kubelet), in apply order."""
    if plugin.target not in TARGETS:
        raise BadInput(f"unknown target {plugin.target!r}", "", f"one of {', '.join(TARGETS)}")
    first = [runtime_class()] if plugin.target == KUBELET else []
    return [*first, _config_map(plugin), _daemonset(plugin)]


def warnings(plugin: DevicePlugin) -> list[str]:
    """What sharing does not do, one line each."""
    if plugin.replicas == 1:
        return []
    return [
        f"time-slicing isolates no memory: {plugin.replicas} pods share one Jetson's RAM; set a"
        " memory limit on each (imgctl manifests --shared --memory)"
    ]


def _labels() -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "nvidia-device-plugin",
        "app.kubernetes.io/managed-by": "imgctl",
    }


def _config_map(plugin: DevicePlugin) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP, "namespace": plugin.namespace, "labels": _labels()},
        "data": {CONFIG_KEY: to_yaml([plugin_config(plugin)])},
    }


def _daemonset(plugin: DevicePlugin) -> Object:
    labels = _labels() | {"app.kubernetes.io/version": f"v{plugin.version.version}"}
    # The plugin reads its config at start only: another config must make other pods.
    config = sha256(to_yaml([plugin_config(plugin)]).encode()).hexdigest()
    template = {
        "metadata": {"labels": SELECTOR | labels, "annotations": {"imgctl.io/config": config}},
        "spec": _pod_spec(plugin),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": plugin.namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": dict(SELECTOR)},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": template,
        },
    }


def _pod_spec(plugin: DevicePlugin) -> Object:
    spec: Object = {}
    if plugin.target == KUBELET:
        # Without the nvidia runtime the plugin's own pod sees no GPU and offers none.
        spec["runtimeClassName"] = RUNTIME_CLASS
        spec["nodeSelector"] = {"kubernetes.io/arch": "arm64"}
    else:
        edge = {"matchExpressions": [{"key": EDGE_ROLE, "operator": "Exists"}]}
        required = {"nodeSelectorTerms": [edge]}
        spec["affinity"] = {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}
        }
    return spec | {
        "priorityClassName": "system-node-critical",
        "tolerations": [
            {"key": GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"},
            {"key": EDGE_ROLE, "operator": "Exists", "effect": "NoSchedule"},
        ],
        "containers": [_container(plugin)],
        "volumes": [
            {"name": "device-plugin", "hostPath": {"path": SOCKETS}},
            {"name": "config", "configMap": {"name": CONFIG_MAP}},
        ],
    }


def _container(plugin: DevicePlugin) -> Object:
    env: list[dict[str, Any]] = [{"name": "FAIL_ON_INIT_ERROR", "value": "false"}]
    if plugin.version.takes_strategy:
        env.append({"name": "DEVICE_DISCOVERY_STRATEGY", "value": "tegra"})
    return {
        "name": "nvidia-device-plugin-ctr",
        "image": f"{IMAGE}:v{plugin.version.version}",
        "imagePullPolicy": "IfNotPresent",
        "args": [f"--config-file={CONFIG_FOLDER}/{CONFIG_KEY}"],
        "env": env,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "device-plugin", "mountPath": SOCKETS},
            {"name": "config", "mountPath": CONFIG_FOLDER},
        ],
    }
