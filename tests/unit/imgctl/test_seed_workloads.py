"""The three workloads users wrote by hand come out of `imgctl manifests` with equal meaning.

Compared field by field, nothing left out and nothing added, but for what is meant to differ: the
image is by digest, labels and annotations are ours, and a rolling update stands where Kubernetes
reads it.
"""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.unit.imgctl.records import DIGEST, Call

IMAGE = f"local-harbor.com/algorithms/mnist:1.0@{DIGEST}"
PINNED = f"local-harbor.com/algorithms/mnist@{DIGEST}"

MNIST_POD = f"""
apiVersion: v1
kind: Pod
metadata: {{name: gpu-test}}
spec:
  hostNetwork: true
  nodeSelector: {{kubernetes.io/hostname: jetpack513-desktop}}
  containers:
  - name: gpu-test
    image: {PINNED}
    imagePullPolicy: IfNotPresent
    command: [/bin/bash, -c, python3 /home/pytorch-mnist.py]
  restartPolicy: Never
"""

MNIST_DEPLOYMENT = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: gpu-test}}
spec:
  replicas: 1
  selector:
    matchLabels: {{app.kubernetes.io/name: gpu-test}}
  strategy:
    type: RollingUpdate
    rollingUpdate: {{maxUnavailable: 25%, maxSurge: 25%}}
  template:
    spec:
      hostNetwork: true
      containers:
      - name: gpu-test
        image: {PINNED}
        imagePullPolicy: IfNotPresent
        command: [/bin/bash, -c, python3 /home/pytorch-mnist.py]
"""

GPU_TEST_POD = f"""
apiVersion: v1
kind: Pod
metadata: {{name: gpu-test}}
spec:
  hostNetwork: true
  nodeSelector: {{kubernetes.io/hostname: orin03-desktop}}
  containers:
  - name: gpu-test
    image: {PINNED}
    imagePullPolicy: IfNotPresent
    resources:
      limits: {{nvidia.com/gpu: '1'}}
    command: [/bin/bash, -c, python3 /home/test.py]
  restartPolicy: Never
"""

MNIST = ("--command", "/bin/bash", "--command", "-c", "--command", "python3 /home/pytorch-mnist.py")
TEST = ("--command", "/bin/bash", "--command", "-c", "--command", "python3 /home/test.py")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--kind", "pod", "--node", "jetpack513-desktop", "--gpu", "0", *MNIST), MNIST_POD),
        (("--kind", "deployment", "--gpu", "0", *MNIST), MNIST_DEPLOYMENT),
        (("--kind", "pod", "--node", "orin03-desktop", "--gpu", "1", *TEST), GPU_TEST_POD),
    ],
    ids=["mnist pod", "mnist deployment", "gpu-test pod"],
)
def test_equal_field_by_field(call: Call, options: tuple[str, ...], expected: str) -> None:
    code, out, _ = call(
        "manifests", IMAGE, "--offline", "--name", "gpu-test", "--host-network", *options
    )
    assert code == 0
    found = yaml.safe_load(out)
    kubernetes_validate.validate(found, "1.26", strict=True)
    assert without_ours(found) == yaml.safe_load(expected)


def without_ours(item: dict[str, Any]) -> dict[str, Any]:
    """The object without imgctl's labels and annotations, and without its keeping to edge nodes.

    A deployment by hand names no node; on KubeEdge it would land on cloud nodes too.
    """
    metadata = {"name": item["metadata"]["name"]}
    spec = dict(item["spec"])
    if "template" in spec:
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        inner = dict(spec["template"]["spec"])
        assert inner.pop("affinity") == {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {"key": "node-role.kubernetes.io/edge", "operator": "Exists"}
                            ]
                        }
                    ]
                }
            }
        }
        spec["template"] = {"spec": inner}
    return {**item, "metadata": metadata, "spec": spec}
