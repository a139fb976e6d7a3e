"""The Secret that lets a kubelet, or KubeEdge's edged for a pod, pull from a private registry."""

from __future__ import annotations

import base64
import json

from deploy.manifests import Object
from deploy.names import check_subdomain


def pull_secret(name: str, namespace: str, host: str, username: str, password: str) -> Object:
    """A `kubernetes.io/dockerconfigjson` Secret, for a pod's imagePullSecrets.

    Raises BadInput for a name that Kubernetes would not take.
    """
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    login = {"username": username, "password": password, "auth": pair}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": check_subdomain(name, "secret name"),
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "imgctl"},
        },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": json.dumps({"auths": {host: login}})},
    }
