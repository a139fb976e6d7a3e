"""`imgctl prepull`: KubeEdge's job, its time limit, and the Secret edged can read."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml

from tests.unit.imgctl.records import DIGEST, Call, build_record, push_record, put, registry_with

REFERENCE = f"h.example/p/mnist@{DIGEST}"


def test_the_time_limit_fits_the_recorded_size_and_the_link(call: Call, tmp_path: Path) -> None:
    put(tmp_path / "dist", build_record(), push_record())
    code, out, err = call("prepull", "mnist", "--node", "nano-1", "--link", "20Mbit")
    job = yaml.safe_load(out)
    assert (code, job["kind"]) == (0, "ImagePrePullJob")
    template = job["spec"]["imagePrePullTemplate"]
    # 6 GB at 2.5 MB/s, twice over, and unpacking at 20 MB/s.
    assert template["timeoutSeconds"] == 60 + 2 * 2400 + 300
    assert template["images"] == [f"local-harbor.com/algorithms/mnist@{DIGEST}"]
    assert job["metadata"]["name"] == "mnist-" + "ab" * 6
    assert "6000 MB at 20Mbit" in err


def test_the_size_of_a_reference_comes_from_its_registry(call: Call) -> None:
    with registry_with("p/mnist", "v1") as (host, digest):
        _, out, err = call("prepull", f"{host}/p/mnist:v1", "--selector", "class=orin")
    template = yaml.safe_load(out)["spec"]["imagePrePullTemplate"]
    assert template["images"] == [f"{host}/p/mnist@{digest}"]
    assert template["labelSelector"] == {"matchLabels": {"class": "orin"}}
    assert "2000 MB" in err


def test_the_secret_is_the_one_edged_reads_and_only_its_owner_may(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCTL_PASSWORD", "s3cret")
    code, out, err = call(
        "prepull", REFERENCE, "--offline", "--size", "2GB", "--node", "nano-1", "--with-secret",
        "--secret", "default/prepull", "--username", "robot$edge", "-o", "jobs",
    )  # fmt: skip
    assert code == 0, err
    assert "keep it out of git" in err
    assert "s3cret" not in out + err
    path = Path("jobs/prepull-secret.yaml")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    secret = yaml.safe_load(path.read_text())
    assert (secret["metadata"]["namespace"], secret["type"]) == (
        "default",
        "kubernetes.io/dockerconfigjson",
    )
    assert json.loads(secret["stringData"][".dockerconfigjson"]) == {
        "username": "robot$edge",
        "password": "s3cret",
    }
    job = yaml.safe_load(Path("jobs/mnist-abababababab-imageprepulljob.yaml").read_text())
    assert job["spec"]["imagePrePullTemplate"]["imageSecrets"] == "default/prepull"


def test_sizes_are_written_as_people_do(call: Call) -> None:
    for size, told in (("5.6GB", "5600 MB"), ("1.5 GiB", "1611 MB"), ("3000000", "3 MB")):
        _, _, err = call("prepull", REFERENCE, "--offline", "--node", "a", "--size", size)
        assert told in err


def test_nodes_with_a_full_root_can_be_included(call: Call) -> None:
    common = ("prepull", REFERENCE, "--offline", "--size", "1GB", "--node", "a")
    assert yaml.safe_load(call(*common)[1])["spec"]["imagePrePullTemplate"]["checkItems"] == [
        "disk"
    ]
    assert "checkItems" not in call(*common, "--no-disk-check")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--size", "1GB"], "needs nodes or a selector"),
        (["--size", "1GB", "--node", "a", "--selector", "b=c"], "and not both"),
        (["--node", "a"], "is not known"),
        (["--size", "5.6.1GB", "--node", "a"], "is not a size"),
        (["--size", "big", "--node", "a"], "'big' is not a size"),
        (["--size", "1GB", "--node", "A_b"], "'A_b' cannot be a node name"),
        (["--size", "1GB", "--node", "a", "--link", "fast"], "'fast' is not a link speed"),
        (["--size", "1GB", "--node", "a", "--api-version", "v1"], "unknown API version"),
        (["--size", "1GB", "--node", "a", "--at-once", "0"], "concurrency is at least 1"),
        (["--size", "1GB", "--node", "a", "--secret", "x"], "'' cannot be a secret name"),
        (["--size", "1GB", "--node", "a", "--with-secret"], "--with-secret needs a name"),
        (
            ["--size", "1GB", "--node", "a", "--with-secret", "--secret", "a/b"],
            "there is no login for h.example",
        ),
    ],
)
def test_bad_input_is_one_error_and_no_output(call: Call, arguments: list[str], said: str) -> None:
    code, out, err = call("prepull", REFERENCE, "--offline", *arguments)
    assert (code, out) == (2, "")
    assert said in err
