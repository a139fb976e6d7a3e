"""Whatever the options say: either one clear refusal, or objects every API server accepts."""

from __future__ import annotations

import kubernetes_validate
import yaml
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from imgctl.cli import cli
from registry.errors import BadInput, Refused
from tests.unit.imgctl.records import DIGEST

IMAGE = f"local-harbor.com/algorithms/mnist:1.0@{DIGEST}"
NEWEST = ".".join(kubernetes_validate.latest_version().split(".")[:2])

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
# Mostly good ones, or hardly any combination would come to be written.
good = st.sampled_from(["mnist", "a-b", "orin03-desktop", "x" * 63])
names = st.one_of(*[good] * 9, st.sampled_from(["kube.system", "A_b", "x" * 64]), words)
pairs = st.builds("{}={}".format, names, names)
numbers = st.sampled_from(["0", "1", "1", "2", "-1", str(2**31)])


def option(flag: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return values.map(lambda value: [f"{flag}={value}"])


kinds = st.lists(st.sampled_from(["pod", "deployment", "job", "daemonset", "all"]), min_size=1)
options = st.lists(
    st.one_of(
        option("--kind", kinds.map(",".join)),
        option("--target", st.sampled_from(["kubeedge", "kubelet"])),
        option("--name", names),
        option("--namespace", names),
        option("--node", names),
        option("--selector", pairs),
        option("--toleration", st.builds("{}:NoSchedule".format, pairs)),
        option("--replicas", numbers),
        option("--gpu", numbers),
        option("--gpu-resource", st.builds("{}/{}".format, names, names)),
        option("--memory", st.sampled_from(["4Gi", "512M", "1.5Gi", "4GB", "-1Gi"])),
        option("--pull-policy", st.sampled_from(["Always", "Never", "IfNotPresent"])),
        option("--pull-secret", names),
        option("--env", pairs),
        option("--command", words),
        option("--arg", words),
        option("--volume", st.builds("/{}:/{}".format, words, words)),
        st.sampled_from(
            [["--shared"], ["--host-network"], ["--no-host-network"], ["--kubesphere"]]
        ),
    ),
    max_size=6,
).map(lambda items: [word for item in items for word in item])


@settings(
    max_examples=300,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(options)
def test_refused_or_valid(arguments: list[str]) -> None:
    result = CliRunner().invoke(cli, ["manifests", IMAGE, "--offline", *arguments])
    if result.exception is not None:
        assert isinstance(result.exception, BadInput | Refused | SystemExit), arguments
        assert result.stdout == ""
        return
    found = list(yaml.safe_load_all(result.stdout))
    assert found
    for item in found:
        for version in ("1.26", NEWEST):
            kubernetes_validate.validate(item, version, strict=True)
