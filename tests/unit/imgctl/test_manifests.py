"""`imgctl manifests`: from a record or a reference to what runs exactly that image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.imgctl.records import (
    DESCRIPTION,
    DIGEST,
    PLAN,
    TAG,
    Call,
    build_record,
    push_record,
    put,
    registry_with,
)

PINNED = f"local-harbor.com/algorithms/mnist@{DIGEST}"


def objects(text: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(text))


def pod_spec(item: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = item["spec"]
    return spec if item["kind"] == "Pod" else spec["template"]["spec"]


@pytest.mark.parametrize(
    "image",
    [
        "mnist", f"mnist:{TAG}", f"dist/mnist/{TAG}", "dist/mnist", f"dist/mnist/{TAG}/push.json",
        f"dist/mnist/{TAG}/build.json",
    ],
)  # fmt: skip
def test_an_image_pushed_from_here_by_all_its_names(call: Call, tmp_path: Path, image: str) -> None:
    put(tmp_path / "dist", build_record(), push_record())
    code, out, err = call("manifests", image)
    (job,) = objects(out)
    assert (code, err, job["kind"]) == (0, "", "Job")
    (container,) = pod_spec(job)["containers"]
    assert container["image"] == PINNED
    assert container["command"] == ["python3", "/home/pytorch-mnist.py"]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": "1"}}


def test_a_running_pod_leads_back_to_its_build_record(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", build_record(), push_record())
    _, out, _ = call("manifests", "mnist", "--kind", "deployment")
    template = objects(out)[0]["spec"]["template"]["metadata"]
    assert template["annotations"] == {
        "imgctl.io/tag": f"local-harbor.com/algorithms/mnist:{TAG}",
        "imgctl.io/digest": DIGEST,
        "imgctl.io/plan": PLAN,
    }
    assert template["labels"] == {
        "app.kubernetes.io/name": "mnist",
        "app.kubernetes.io/version": "1.0.0",
        "app.kubernetes.io/component": "batch",
        "app.kubernetes.io/managed-by": "imgctl",
        "imgctl.io/l4t": "r35.2.1",
        "imgctl.io/plan": "cd" * 8,
    }


def test_a_build_not_pushed_yet_needs_to_be_told_where_it_will_be(
    call: Call, tmp_path: Path
) -> None:
    put(tmp_path / "dist", build_record())
    code, out, err = call("manifests", "mnist")
    assert (code, out) == (2, "")
    assert "built but not pushed" in err
    _, out, _ = call("manifests", "mnist", "--harbor", "local-harbor.com")
    assert pod_spec(objects(out)[0])["containers"][0]["image"] == PINNED


def test_a_build_newer_than_its_push_is_not_taken_for_it(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", build_record(digest="sha256:" + "ef" * 32), push_record())
    code, _, err = call("manifests", "mnist")
    assert code == 2
    assert "built but not pushed" in err


def test_all_kinds_in_a_stable_order_with_what_they_need_first(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", push_record(), build_record())
    _, out, err = call("manifests", "mnist", "--kind", "all", "--target", "kubelet")
    kinds = [item["kind"] for item in objects(out)]
    assert kinds == ["RuntimeClass", "Pod", "Deployment", "Job", "DaemonSet"]
    assert "use --kind job to run it once" in err
    assert call("manifests", "mnist", "--kind", "all", "--target", "kubelet")[1] == out


def test_the_objects_as_one_json_list(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", push_record(), build_record())
    _, out, _ = call("manifests", "mnist", "--kind", "pod,job", "--format", "json")
    assert [item["kind"] for item in json.loads(out)["items"]] == ["Pod", "Job"]


def test_a_folder_with_one_file_each_and_a_kustomization(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", push_record(), build_record())
    code, out, _ = call("manifests", "mnist", "--kind", "pod", "--target", "kubelet", "-o", "k8s")
    assert code == 0
    assert out.splitlines() == [
        "k8s/nvidia-runtimeclass.yaml", "k8s/mnist-pod.yaml", "k8s/kustomization.yaml",
    ]  # fmt: skip
    assert yaml.safe_load(Path("k8s/kustomization.yaml").read_text())["resources"] == [
        "nvidia-runtimeclass.yaml",
        "mnist-pod.yaml",
    ]
    assert yaml.safe_load(Path("k8s/mnist-pod.yaml").read_text())["kind"] == "Pod"


def test_what_kubesphere_shows(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", push_record(), build_record())
    _, out, _ = call("manifests", "mnist", "--kubesphere")
    notes = objects(out)[0]["metadata"]["annotations"]
    assert notes["kubesphere.io/alias-name"] == "mnist"
    assert notes["kubesphere.io/description"] == DESCRIPTION


def test_every_option_lands_where_it_belongs(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", push_record(), build_record())
    _, out, _ = call(
        "manifests", "mnist", "--kind", "deployment", "--name", "trainer", "--namespace", "vision",
        "--replicas", "3", "--selector", "zone=a", "--selector", "class=orin", "--shared",
        "--gpu-resource", "nvidia.com/gpu.shared", "--memory", "4Gi", "--no-host-network",
        "--pull-policy", "Always", "--pull-secret", "harbor", "--env", "EPOCHS=3", "--env", "A=b=c",
        "--arg=--epochs", "--arg", "3", "--volume", "/data:/data:ro",
        "--toleration", "nvidia.com/gpu:NoSchedule",
    )  # fmt: skip
    (item,) = objects(out)
    assert (item["metadata"]["name"], item["metadata"]["namespace"]) == ("trainer", "vision")
    assert item["spec"]["replicas"] == 3
    assert item["spec"]["template"]["spec"] == {
        "nodeSelector": {"zone": "a", "class": "orin"},
        "imagePullSecrets": [{"name": "harbor"}],
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        ],
        "containers": [
            {
                "name": "trainer",
                "image": PINNED,
                "imagePullPolicy": "Always",
                "command": ["python3", "/home/pytorch-mnist.py"],
                "args": ["--epochs", "3"],
                "env": [{"name": "EPOCHS", "value": "3"}, {"name": "A", "value": "b=c"}],
                "resources": {"limits": {"memory": "4Gi", "nvidia.com/gpu.shared": "1"}},
                "volumeMounts": [{"name": "data-0", "mountPath": "/data", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "data-0", "hostPath": {"path": "/data"}}],
    }


def test_defaults_come_from_imgctl_yaml(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", push_record(), build_record())
    (tmp_path / "imgctl.yaml").write_text(
        "namespace: vision\nmanifests:\n  pull-secret: harbor\n  env: [A=1, B=2]\n  gpu: 0\n"
    )
    _, out, _ = call("manifests", "mnist", "--kind", "pod")
    (pod,) = objects(out)
    assert pod["metadata"]["namespace"] == "vision"
    assert pod["spec"]["imagePullSecrets"] == [{"name": "harbor"}]
    assert [item["name"] for item in pod["spec"]["containers"][0]["env"]] == ["A", "B"]
    assert "resources" not in pod["spec"]["containers"][0]


def test_what_names_and_values_belong_together_may_be_a_mapping(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", push_record(), build_record())
    settings = tmp_path / "imgctl.yaml"
    settings.write_text("manifests:\n  selector: {zone: a}\n  env: {A: 1, B: true, C: }\n")
    _, out, _ = call("manifests", "mnist", "--kind", "pod")
    (pod,) = objects(out)
    assert pod["spec"]["nodeSelector"] == {"zone": "a"}
    assert pod["spec"]["containers"][0]["env"] == [
        {"name": "A", "value": "1"}, {"name": "B", "value": "true"}, {"name": "C", "value": ""},
    ]  # fmt: skip
    settings.write_text("namespace: {name: vision}\n")
    code, _, err = call("manifests", "mnist")
    assert (code, "'namespace' cannot be a mapping" in err) == (2, True)


def test_a_tag_in_a_registry_is_pinned_to_its_digest(call: Call) -> None:
    labels = {"io.imgctl.l4t": "r35.2.1", "org.opencontainers.image.version": "1.0.0"}
    with registry_with("algorithms/mnist", "v1", config={"Labels": labels}) as (host, digest):
        code, out, err = call("manifests", f"{host}/algorithms/mnist:v1", "--kind", "deployment")
    (item,) = objects(out)
    assert (code, err) == (0, "")
    assert pod_spec(item)["containers"][0]["image"] == f"{host}/algorithms/mnist@{digest}"
    assert item["metadata"]["annotations"]["imgctl.io/tag"] == f"{host}/algorithms/mnist:v1"
    assert item["metadata"]["labels"]["imgctl.io/l4t"] == "r35.2.1"
    assert item["metadata"]["labels"]["app.kubernetes.io/version"] == "1.0.0"


def test_our_own_image_says_by_itself_how_it_runs_and_where_it_is_from(call: Call) -> None:
    labels = {"io.imgctl.workload": '{"gpus": 1, "host_network": true, "kind": "batch"}'}
    annotations = {"io.imgctl.plan": PLAN}
    with registry_with(
        "algorithms/mnist", "v1", annotations, config={"Labels": labels}
    ) as (host, digest):  # fmt: skip
        image = f"{host}/algorithms/mnist@{digest}"
        code, out, err = call("manifests", image, "--kind", "deployment")
    (item,) = objects(out)
    assert code == 0
    assert "use --kind job" in err
    assert item["metadata"]["annotations"]["imgctl.io/plan"] == PLAN
    assert pod_spec(item)["hostNetwork"] is True
    assert pod_spec(item)["containers"][0]["resources"] == {"limits": {"nvidia.com/gpu": "1"}}


@pytest.mark.parametrize("label", ["batch", "[]", "{}", '{"kind": "batch", "gpus": []}'])
def test_a_label_that_somebody_else_wrote_says_nothing(call: Call, label: str) -> None:
    labels = {"io.imgctl.workload": label}
    with registry_with("p/app", "v1", config={"Labels": labels}) as (host, _):
        code, out, err = call("manifests", f"{host}/p/app:v1", "--kind", "deployment")
    assert (code, err) == (0, "")
    assert "resources" not in out


@pytest.mark.parametrize("name", ["my_app", "my.app"])
def test_a_name_that_kubernetes_does_not_allow_is_written_with_dashes(
    call: Call, tmp_path: Path, name: str
) -> None:
    put(tmp_path / "dist", build_record(image=name), image=name)
    code, out, _ = call("manifests", name, "--harbor", "h.example")
    (item,) = objects(out)
    assert (code, item["metadata"]["name"]) == (0, "my-app")
    assert f"h.example/algorithms/{name}@" in out


def test_a_daemon_set_takes_in_no_pod_that_is_not_its_own(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", push_record(), build_record())
    _, out, _ = call("manifests", "mnist", "--kind", "pod,daemonset")
    pod, daemonset = objects(out)
    selector = daemonset["spec"]["selector"]["matchLabels"].items()
    assert selector <= daemonset["spec"]["template"]["metadata"]["labels"].items()
    assert not selector <= pod["metadata"]["labels"].items()


def test_a_digest_the_registry_does_not_have_is_an_error(call: Call) -> None:
    with registry_with("algorithms/mnist", "v1") as (host, _):
        code, out, err = call("manifests", f"{host}/algorithms/mnist@{DIGEST}")
    assert (code, out) == (1, "")
    assert "does not exist" in err


def test_an_image_for_another_processor_is_refused(call: Call) -> None:
    with registry_with("algorithms/mnist", "v1", architecture="amd64") as (host, _):
        code, out, err = call("manifests", f"{host}/algorithms/mnist:v1")
    assert (code, out) == (3, "")
    assert "is for linux/amd64" in err


def test_a_record_of_another_processor_is_refused_and_a_newer_one_is_said(
    call: Call, tmp_path: Path
) -> None:
    put(tmp_path / "dist", push_record(platform="linux/amd64"))
    code, out, err = call("manifests", f"mnist:{TAG}")
    assert (code, out) == (3, "")
    assert "mnist is for linux/amd64" in err
    put(tmp_path / "dist", push_record(schema=2))
    code, _, err = call("manifests", f"mnist:{TAG}")
    assert (code, "knows schema 1" in err) == (2, True)


def test_offline_takes_a_digest_at_its_word(call: Call) -> None:
    assert call("manifests", PINNED, "--offline")[0] == 0
    code, _, err = call("manifests", "local-harbor.com/algorithms/mnist:v1", "--offline")
    assert code == 2
    assert "names no digest" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mnist", "--kind", "statefulset"], "unknown kind 'statefulset'"),
        (["mnist", "--replicas", "-1"], "-1 replicas cannot be"),
        (["mnist", "--gpu", "-1"], "-1 GPUs cannot be"),
        (["mnist", "--memory", "4GB"], "'4GB' is not a quantity"),
        (["mnist", "--name", "Mnist"], "'Mnist' cannot be a name"),
        (["mnist", "--selector", "zone"], "has no '='"),
        (["mnist", "--selector", "zo ne=a"], "'zo ne' cannot be a label key"),
        (["mnist", "--selector", "a=1", "--selector", "a=2"], "label a is given twice"),
        (["mnist", "--env", "A=1", "--env", "A=2"], "environment variable A is given twice"),
        (["mnist", "--env", "1A=x"], "'1A' cannot be the name of an environment variable"),
        (["mnist", "--volume", "data:/data"], "must be absolute"),
        (["mnist", "--toleration", "a:Never"], "'Never' is not a taint effect"),
        (["mnist", "--pull-policy", "always"], "unknown pull policy 'always'"),
        (["mnist", "--namespace", "kube system"], "cannot be a namespace"),
        (["mnist:2.0.0"], "mnist:2.0.0 is not in dist"),
        (["nosuch"], "no image 'nosuch' in dist"),
        (["broken.json"], "broken.json is not a record"),
        (["other.json"], "other.json is not a build or push record"),
        (["h.example/a b@" + DIGEST], "not"),
        (["h.example/a@sha256:12"], "not"),
    ],
)
def test_bad_input_is_one_error_and_no_output(
    call: Call, tmp_path: Path, arguments: list[str], said: str
) -> None:
    put(tmp_path / "dist", push_record(), build_record())
    Path("broken.json").write_text("{")
    Path("other.json").write_text("{}")
    code, out, err = call("manifests", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_two_shares_in_one_pod_are_refused(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", push_record(), build_record())
    code, _, err = call("manifests", "mnist", "--shared", "--gpu", "2")
    assert code == 3
    assert "use --gpu 1" in err
