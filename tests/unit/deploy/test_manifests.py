"""Manifests mean what the hand-written ones meant, and every API server accepts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from deploy.manifests import KINDS, manifests, warnings
from deploy.workload import KUBEEDGE, KUBELET, Mount, Toleration, Workload, from_record
from deploy.yaml_text import to_yaml
from registry.errors import BadInput, Refused
from registry.reference import Reference

DIGEST = "sha256:" + "ab" * 32
IMAGE = Reference("local-harbor.com", "algorithms/mnist", "1.0.0-l4t-r35.2.1", DIGEST)
# From what the clusters of Jetsons run to the last the schemas package knows.
NEWEST = int(kubernetes_validate.latest_version().split(".")[1])
VERSIONS = [f"1.{minor}" for minor in range(26, NEWEST + 1)]


def workload(**changes: Any) -> Workload:
    values: dict[str, Any] = {
        "name": "mnist",
        "image": IMAGE,
        "command": ("/bin/bash", "-c", "python3 /home/pytorch-mnist.py"),
        "version": "1.0.0",
        "l4t": "r35.2.1",
        "identity": "sha256:" + "cd" * 32,
    }
    return Workload(**(values | changes))


def only(kind: str, **changes: Any) -> dict[str, Any]:
    (found,) = manifests(workload(**changes), [kind])
    return found


def assert_valid(item: dict[str, Any], versions: Sequence[str] = VERSIONS) -> None:
    for version in versions:
        kubernetes_validate.validate(item, version, strict=True)


def test_the_schemas_reach_today() -> None:
    assert NEWEST >= 37


def test_schemas_are_strict() -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        assert_valid(only("pod") | {"specs": {}})


def test_mnist_pod_means_what_the_hand_written_one_meant() -> None:
    pod = only("pod", node="jetpack513-desktop", host_network=True)
    spec = pod["spec"]
    (container,) = spec["containers"]
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    assert spec["hostNetwork"] is True
    assert spec["nodeSelector"] == {"kubernetes.io/hostname": "jetpack513-desktop"}
    assert spec["restartPolicy"] == "Never"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["command"] == ["/bin/bash", "-c", "python3 /home/pytorch-mnist.py"]
    assert container["image"] == f"local-harbor.com/algorithms/mnist@{DIGEST}"
    assert "resources" not in container
    assert_valid(pod)


def test_mnist_deployment_means_what_the_hand_written_one_meant() -> None:
    deployment = only("deployment", host_network=True, batch=False)
    spec = deployment["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
    }
    template = spec["template"]
    assert spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert template["spec"]["hostNetwork"] is True
    assert_valid(deployment)


def test_gpu_test_pod_asks_for_one_gpu() -> None:
    pod = only("pod", name="gpu-test", gpus=1, node="orin03-desktop", host_network=True)
    assert pod["metadata"]["name"] == "gpu-test"
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    assert_valid(pod)


def test_image_is_by_digest_and_the_tag_is_kept_for_the_reader() -> None:
    notes = only("pod")["metadata"]["annotations"]
    assert notes["imgctl.io/tag"] == "local-harbor.com/algorithms/mnist:1.0.0-l4t-r35.2.1"
    assert notes["imgctl.io/plan"] == "sha256:" + "cd" * 32


def test_kubeedge_pods_stay_on_edge_nodes_and_name_no_runtime_class() -> None:
    spec = only("pod", target=KUBEEDGE)["spec"]
    assert "runtimeClassName" not in spec
    required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = required["nodeSelectorTerms"]
    assert term["matchExpressions"] == [
        {"key": "node-role.kubernetes.io/edge", "operator": "Exists"}
    ]


def test_plain_kubelet_gets_the_runtime_class_before_the_pod() -> None:
    first, second = manifests(workload(target=KUBELET), ["pod"])
    assert (first["kind"], first["handler"]) == ("RuntimeClass", "nvidia")
    assert second["spec"]["runtimeClassName"] == "nvidia"
    assert_valid(first)


def test_batch_program_in_a_deployment_is_warned_about() -> None:
    assert any("--kind job" in line for line in warnings(workload(), ["deployment"]))
    assert warnings(workload(batch=False), ["deployment"]) == []
    assert warnings(workload(), ["job"]) == []


def test_more_replicas_than_a_node_has_gpus_are_warned_about() -> None:
    many = workload(batch=False, gpus=1, node="orin", replicas=3)
    assert any("of 3 replicas one" in line for line in warnings(many, ["deployment"]))
    assert warnings(many, ["pod"]) == []
    assert warnings(replace(many, shared=True, memory="2Gi"), ["deployment"]) == []
    assert warnings(replace(many, node=""), ["deployment"]) == []


def test_sharing_without_a_memory_limit_is_warned_about() -> None:
    assert any("isolates no memory" in line for line in warnings(workload(shared=True), ["pod"]))
    assert warnings(workload(shared=True, memory="2Gi"), ["pod"]) == []


def test_a_whole_gpu_is_given_up_before_it_is_asked_for_again() -> None:
    strategy = only("deployment", gpus=1)["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxUnavailable": 1, "maxSurge": 0}
    shared = only("deployment", gpus=1, shared=True)["spec"]["strategy"]
    assert shared["rollingUpdate"] == {"maxUnavailable": "25%", "maxSurge": "25%"}


def test_two_shares_of_one_gpu_are_refused() -> None:
    with pytest.raises(Refused, match="2 shares"):
        workload(gpus=2, shared=True)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Mnist"},
        {"name": "a" * 64},
        {"replicas": -1},
        {"replicas": 2**31},
        {"gpus": -1},
        {"gpu_resource": "gpu"},
        {"gpu_resource": "a b/gpu"},
        {"memory": "lots"},
        {"memory": "0"},
        {"memory": "0.00Gi"},
        {"memory": "512m"},
        {"memory": "."},
        {"node": "Orin_03"},
        {"namespace": "kube system"},
        {"pull_secret": "-x"},
        {"pull_policy": "always"},
        {"target": "k3s"},
        {"selector": (("a b", "c"),)},
        {"selector": (("zone", "-c"),)},
        {"selector": (("a", "1"), ("a", "2"))},
        {"selector": (("kubernetes.io/hostname", "a"),), "node": "b"},
        {"env": (("A", "1"), ("A", "2"))},
        {"env": (("1A", "x"),)},
        {"env": (("..A", "x"),)},
        {"image": Reference("h.example", "p/i", "v1")},
        {"mounts": (Mount("/a", "/data"), Mount("/b", "/data"))},
    ],
)
def test_what_no_cluster_takes_is_bad_input(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        workload(**changes)


@pytest.mark.parametrize("text", ["data", "/a", "a:/b", "/a:/b:rx", "/a/../b:/c", "/a:/b:ro:x"])
def test_volumes_are_absolute_pairs(text: str) -> None:
    with pytest.raises(BadInput):
        Mount.parse(text)


def test_yaml_stream_reads_back_as_it_was_written() -> None:
    objects = manifests(workload(gpus=1, target=KUBELET), KINDS)
    text = to_yaml(objects)
    assert list(yaml.safe_load_all(text)) == objects
    assert "&id" not in text


def test_push_record_becomes_a_workload() -> None:
    record = {
        "schema": 1,
        "kind": "push",
        "image": "mnist",
        "repository": "local-harbor.com/algorithms/mnist",
        "tags": ["1.0.0-l4t-r35.2.1"],
        "digest": DIGEST,
        "l4t": "r35.2.1",
        "plan": "sha256:" + "cd" * 32,
        "command": ["python3", "/home/pytorch-mnist.py"],
        "workload": {"kind": "batch", "gpus": 1, "host_network": True},
    }
    found = Workload(**from_record(record))
    assert (found.image, found.gpus, found.host_network, found.batch) == (IMAGE, 1, True, True)


@pytest.mark.parametrize("record", [{}, {"kind": "build", "schema": 1}, {"kind": "push"}, []])
def test_what_is_no_push_record_is_bad_input(record: Any) -> None:
    with pytest.raises(BadInput):
        from_record(record)


def test_every_character_survives_the_yaml() -> None:
    for text in ("a\x85b", "\u2028", "Ünïcode 图像", "yes", "1.0", "a: b", " x", "\t", "\x00"):
        objects = [{"value": text, text: 1}]
        assert list(yaml.safe_load_all(to_yaml(objects))) == objects


names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
workloads = st.builds(
    workload,
    name=names,
    target=st.sampled_from([KUBEEDGE, KUBELET]),
    batch=st.booleans(),
    command=st.lists(st.text(min_size=1), max_size=3).map(tuple),
    args=st.lists(st.text(), max_size=3).map(tuple),
    env=st.dictionaries(names.map(lambda n: "E" + n), st.text(), max_size=3).map(
        lambda found: tuple(found.items())
    ),
    mounts=st.sampled_from([(), (Mount("/data", "/data", True), Mount("/x", "/y"))]),
    gpus=st.integers(0, 1),
    gpu_resource=st.sampled_from(["nvidia.com/gpu", "nvidia.com/gpu.shared"]),
    shared=st.booleans(),
    memory=st.sampled_from(["", "4Gi", "512Mi", "1.5G", "1e9", ".5Gi", "4.Gi", "128974848"]),
    host_network=st.booleans(),
    namespace=st.one_of(st.just(""), names),
    replicas=st.integers(0, 5),
    node=st.one_of(st.just(""), names),
    selector=st.dictionaries(names, names, max_size=2).map(lambda found: tuple(found.items())),
    tolerations=st.lists(
        st.builds(
            Toleration,
            key=names,
            value=st.sampled_from(["", "yes"]),
            effect=st.sampled_from(["", "NoSchedule"]),
        ),
        max_size=2,
    ).map(tuple),
    pull_policy=st.sampled_from(["IfNotPresent", "Always", "Never"]),
    pull_secret=st.one_of(st.just(""), names),
)


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(workloads)
def test_no_combination_of_options_breaks_the_schemas(found: Workload) -> None:
    objects = manifests(found, KINDS)
    for item in objects:
        assert_valid(item, (VERSIONS[0], VERSIONS[-1]))
    assert list(yaml.safe_load_all(to_yaml(objects))) == objects
