"""Kubernetes objects for a workload, as plain data.

Targets differ: KubeEdge's edged cannot resolve a RuntimeClass, so the node's default runtime must
be nvidia and pods are kept on edge nodes; on a plain kubelet a RuntimeClass names the runtime.
API: Kubernetes v1, apps/v1, batch/v1, node.k8s.io/v1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy.workload import HOSTNAME, KUBELET, Workload
from registry.errors import BadInput

KINDS = ("pod", "deployment", "job", "daemonset")
EDGE_ROLE = "node-role.kubernetes.io/edge"
RUNTIME_CLASS = "nvidia"
# Keeps a DaemonSet from taking in a bare Pod of the same workload: it selects by labels alone,
# where a Deployment adds a hash and a Job an id.
_OWNER = {"imgctl.io/kind": "daemonset"}

Object = dict[str, Any]


def manifests(workload: Workload, kinds: Sequence[str]) -> list[Object]:
    """The objects of the asked kinds, with what they need before them, in a stable order."""
    writers = {"pod": pod, "deployment": deployment, "job": job, "daemonset": daemonset}
    unknown = [kind for kind in kinds if kind not in writers]
    if unknown:
        raise BadInput(f"unknown kind {unknown[0]!r}", "", f"one of {', '.join(KINDS)}, all")
    wanted = [writers[kind](workload) for kind in KINDS if kind in kinds]
    return [*([runtime_class()] if workload.target == KUBELET else []), *wanted]


def warnings(workload: Workload, kinds: Sequence[str]) -> list[str]:
    """What is allowed and would surprise, one line each."""
    found = []
    repeating = [kind for kind in kinds if kind in ("deployment", "daemonset")]
    if workload.batch and repeating:
        found.append(
            f"{workload.name} ends by itself: a {repeating[0].capitalize()} starts it again for"
            " ever; use --kind job to run it once"
        )
    if workload.gpus > 1:
        found.append(
            f"a Jetson offers one {workload.gpu_resource}: a pod that asks for {workload.gpus}"
            " stays Pending"
        )
    whole = workload.gpus == 1 and not workload.shared
    if "deployment" in kinds and whole and workload.node and workload.replicas > 1:
        found.append(
            f"{workload.node} has one {workload.gpu_resource}: of {workload.replicas} replicas one"
            " runs and the others stay Pending; share it with --shared"
        )
    if workload.shared and not workload.memory:
        found.append(
            "time-slicing isolates no memory: pods on one Jetson share its RAM; set --memory"
        )
    return found


def runtime_class() -> Object:
    """The RuntimeClass a plain kubelet resolves to the nvidia runtime handler."""
    return {
        "apiVersion": "node.k8s.io/v1",
        "kind": "RuntimeClass",
        "metadata": {"name": RUNTIME_CLASS, "labels": {"app.kubernetes.io/managed-by": "imgctl"}},
        "handler": "nvidia",
    }


def pod(workload: Workload) -> Object:
    """A Pod that runs once (batch) or is kept running (service)."""
    restart = "Never" if workload.batch else "Always"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(workload),
        "spec": _pod_spec(workload) | {"restartPolicy": restart},
    }


def deployment(workload: Workload) -> Object:
    """A Deployment with the usual rolling update of a quarter at a time.

    Pods that hold a whole GPU are replaced old before new.
    """
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(workload),
        "spec": {
            "replicas": workload.replicas,
            "selector": {"matchLabels": _selector(workload)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": _rolling_update(workload)},
            "template": _template(workload),
        },
    }


def _rolling_update(workload: Workload) -> Object:
    if workload.gpus and not workload.shared:
        # A surge pod would wait for ever for the GPU that the pod it replaces holds.
        return {"maxUnavailable": 1, "maxSurge": 0}
    return {"maxUnavailable": "25%", "maxSurge": "25%"}


def job(workload: Workload) -> Object:
    """A Job: the batch program runs to its end, tried again at most twice."""
    template = _template(workload)
    template["spec"]["restartPolicy"] = "Never"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(workload),
        "spec": {"backoffLimit": 2, "template": template},
    }


def daemonset(workload: Workload) -> Object:
    """A DaemonSet: one on every node the workload may run on."""
    template = _template(workload)
    template["metadata"]["labels"] |= _OWNER
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": _metadata(workload),
        "spec": {
            "selector": {"matchLabels": _selector(workload) | _OWNER},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": template,
        },
    }


def _metadata(workload: Workload) -> Object:
    namespace = {"namespace": workload.namespace} if workload.namespace else {}
    return {
        "name": workload.name,
        **namespace,
        "labels": workload.labels(),
        "annotations": workload.notes(),
    }


def _selector(workload: Workload) -> dict[str, str]:
    return {"app.kubernetes.io/name": workload.name}


def _template(workload: Workload) -> Object:
    metadata = {"labels": workload.labels(), "annotations": workload.notes()}
    return {"metadata": metadata, "spec": _pod_spec(workload)}


def _pod_spec(workload: Workload) -> Object:
    spec: Object = {}
    if workload.target == KUBELET:
        spec["runtimeClassName"] = RUNTIME_CLASS
    if workload.host_network:
        spec["hostNetwork"] = True
    spec |= _placement(workload)
    if workload.pull_secret:
        spec["imagePullSecrets"] = [{"name": workload.pull_secret}]
    if workload.tolerations:
        spec["tolerations"] = [item.to_json() for item in workload.tolerations]
    spec["containers"] = [_container(workload)]
    if workload.mounts:
        spec["volumes"] = [
            {"name": f"data-{number}", "hostPath": {"path": mount.source}}
            for number, mount in enumerate(workload.mounts)
        ]
    return spec


def _placement(workload: Workload) -> Object:
    selector = dict(workload.selector)
    if workload.node:
        selector[HOSTNAME] = workload.node
    if selector:
        return {"nodeSelector": selector}
    if workload.target == KUBELET:
        return {"nodeSelector": {"kubernetes.io/arch": "arm64"}}
    edge = {"matchExpressions": [{"key": EDGE_ROLE, "operator": "Exists"}]}
    required = {"nodeSelectorTerms": [edge]}
    return {
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required},
        }
    }


def _container(workload: Workload) -> Object:
    pinned = f"{workload.image.name}@{workload.image.digest}"
    container: Object = {
        "name": workload.name,
        "image": pinned,
        "imagePullPolicy": workload.pull_policy,
    }
    if workload.command:
        container["command"] = list(workload.command)
    if workload.args:
        container["args"] = list(workload.args)
    if workload.env:
        container["env"] = [
            {"name": key, "value": value} for key, value in dict(workload.env).items()
        ]
    limits = {"memory": workload.memory} if workload.memory else {}
    if workload.gpus:
        limits[workload.gpu_resource] = str(workload.gpus)
    if limits:
        container["resources"] = {"limits": limits}
    if workload.mounts:
        container["volumeMounts"] = [
            {"name": f"data-{number}", "mountPath": mount.target}
            | ({"readOnly": True} if mount.read_only else {})
            for number, mount in enumerate(workload.mounts)
        ]
    return container
