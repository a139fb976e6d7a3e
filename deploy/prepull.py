"""KubeEdge's ImagePrePullJob: an image on the edge nodes before the pod that needs it.

API: operations.kubeedge.io v1alpha1 (KubeEdge 1.16 on) and v1alpha2 (1.21 on); cluster-scoped.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from deploy.manifests import Object
from deploy.names import check_label, check_label_name, check_subdomain, label_value
from deploy.workload import MOST_REPLICAS
from registry.errors import BadInput
from registry.reference import Reference

VERSIONS = ("v1alpha2", "v1alpha1")
# The job's own default of 300 s ends a pull of gigabytes over anything but a fast LAN.
LEAST_TIMEOUT = 300
SETUP_SECONDS = 60
UNPACK_BYTES_PER_SECOND = 20_000_000
LINK_HEADROOM = 2.0
SLOWEST_LINK = 1.0
FASTEST_LINK = 1e12
MOST_TIMEOUT = 2**32 - 1  # the field is a uint32
_LINK = re.compile(
    r"(?P<number>\d+(?:\.\d+)?)\s*(?P<prefix>[kKmMgG])"
    r"(?:(?P<bits>[bB]it(?:/s)?|bps|b/s|b)|Bps|B/s|B)",
    re.ASCII,
)


@dataclass(frozen=True)
class Prepull:
    """What to pull and where.

    size: compressed bytes a node without any layer must fetch. link: bytes per second to a node.
    nodes, selector: exactly one of them. secret: `namespace/name` of a prepull Secret, or empty.
    check_disk: skip nodes whose root file system is over 80 % full.
    """

    name: str
    image: Reference
    size: int
    link: float
    nodes: tuple[str, ...] = ()
    selector: tuple[tuple[str, str], ...] = ()
    secret: str = ""
    concurrency: int = 2
    retries: int = 2
    check_disk: bool = True
    api_version: str = "v1alpha2"

    def __post_init__(self) -> None:
        """Refuse what the job would not take; raises BadInput."""
        check_subdomain(self.name, "name of a prepull job")
        if bool(self.nodes) == bool(self.selector):
            raise BadInput(
                "a prepull job needs nodes or a selector, and not both",
                "",
                "give --node NAME (repeatable) or --selector KEY=VALUE",
            )
        if self.secret:
            namespace, _, name = self.secret.partition("/")
            check_label_name(namespace, "namespace")
            check_subdomain(name, "secret name")
        for node in self.nodes:
            check_subdomain(node, "node name")
        for key, value in self.selector:
            check_label(key, value)
        keys = [key for key, _ in self.selector]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise BadInput(f"the label {twice[0]!r} is selected twice", "", "a node has it once")
        if self.api_version not in VERSIONS:
            raise BadInput(
                f"unknown API version {self.api_version!r}", "", f"one of {', '.join(VERSIONS)}"
            )
        if self.link <= 0:
            raise BadInput("the link speed must be above zero", "", "write it like 20Mbit")
        if self.concurrency < 1 or self.retries < 0:
            raise BadInput("concurrency is at least 1 and retries at least 0")
        if max(self.concurrency, self.retries) > MOST_REPLICAS:
            raise BadInput("concurrency and retries are below 2^31")

    @property
    def timeout(self) -> int:
        """Seconds one node may take: fetch at half the link's speed, unpack, and some slack."""
        seconds = self.size * LINK_HEADROOM / self.link + self.size / UNPACK_BYTES_PER_SECOND
        return min(max(LEAST_TIMEOUT, SETUP_SECONDS + round(seconds)), MOST_TIMEOUT)


def parse_link(text: str) -> float:
    """Bytes per second from `20Mbit`, `256kbit/s`, `1Gbps`, `20Mb`, `2MB`; raises BadInput.

    As everywhere, `b` is a bit and `B` a byte.
    """
    match = _LINK.fullmatch(text.strip())
    if match is not None:
        factor = {"k": 1e3, "m": 1e6, "g": 1e9}[match["prefix"].lower()]
        speed = float(match["number"]) * factor / (8 if match["bits"] else 1)
        if SLOWEST_LINK <= speed <= FASTEST_LINK:
            return speed
    raise BadInput(f"{text!r} is not a link speed", "", "write it like 20Mbit, 256kbit or 2MB")


def prepull_job(prepull: Prepull) -> Object:
    """The ImagePrePullJob."""
    version = label_value(prepull.image.tag or "")
    labels = {
        "app.kubernetes.io/managed-by": "imgctl",
        **({"app.kubernetes.io/version": version} if version else {}),
    }
    template: Object = {"images": [f"{prepull.image.name}@{prepull.image.digest}"]}
    if prepull.nodes:
        template["nodeNames"] = list(dict.fromkeys(prepull.nodes))
    else:
        template["labelSelector"] = {"matchLabels": dict(prepull.selector)}
    if prepull.check_disk:
        template["checkItems"] = ["disk"]
    template |= {
        "failureTolerate": "0.3",
        "concurrency": prepull.concurrency,
        "timeoutSeconds": prepull.timeout,
        "retryTimes": prepull.retries,
    }
    if prepull.secret:
        template["imageSecrets"] = prepull.secret
    return {
        "apiVersion": f"operations.kubeedge.io/{prepull.api_version}",
        "kind": "ImagePrePullJob",
        "metadata": {"name": prepull.name, "labels": labels},
        "spec": {"imagePrePullTemplate": template},
    }


def needs(prepull: Prepull) -> list[str]:
    """What must be so for the job to do anything, one line each."""
    edgecore = " and edgecore's" if prepull.api_version == "v1alpha2" else ""
    found = [
        "KubeEdge runs the job where modules.taskManager.enable is true in CloudCore's"
        f" configuration{edgecore}; by default it is not"
    ]
    if prepull.secret:
        found.append(
            f"{prepull.secret} must hold username and password themselves (--with-secret writes it"
            " so): with a pod's pull Secret edged would pull anonymously"
        )
    return found


def prepull_secret(name: str, namespace: str, username: str, password: str) -> Object:
    """The Secret in the form edged reads: credentials themselves, not Docker's `auths`.

    edged unmarshals `.dockerconfigjson` straight into the CRI's AuthConfig, so an ordinary pull
    Secret gives it empty credentials and an anonymous pull. Do not use this one as a pod's
    imagePullSecret.
    """
    value = {"username": username, "password": password}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": check_subdomain(name, "secret name"),
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "imgctl"},
        },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": json.dumps(value)},
    }
