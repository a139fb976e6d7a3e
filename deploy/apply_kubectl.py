"""kubectl as a child: what it is asked, and what its complaints mean."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry.errors import BadInput, ImgctlError, Refused

_GRACE = 10.0  # seconds beyond what kubectl itself waits
_OPTIONS = "name the cluster by --context or --kubeconfig"

# What kubectl says, what that is, and what to do. The first that fits counts.
_UNREACHABLE = (
    "was refused",
    "connection refused",
    "Unable to connect to the server",
    "no such host",
    "i/o timeout",
    "Client.Timeout exceeded",
    "context deadline exceeded",
    "connection reset by peer",
    "TLS handshake timeout",
    ": EOF",
)
_WRAPPING = re.compile(
    r'error: |error validating "STDIN": |error validating data: '
    r"|; if you choose to ignore these errors, turn validation off with --validate=false"
)
_LOGGED = re.compile(r"[EWIF][0-9]{4} ")
_NO_CLUSTER = (
    "no configuration has been provided",
    "current-context is not set",
    # Where kubectl looks when nobody has told it of a cluster.
    "localhost:8080",
    "127.0.0.1:8080: connect",
    "[::1]:8080: connect",
)


class ClusterUnreachable(ImgctlError):
    """The API server does not answer."""


class ObjectMissing(ImgctlError):
    """The API server has no such object, or namespace to put it into."""


def unheard(line: str) -> None:
    """Nobody listens to warnings."""


@dataclass(frozen=True)
class Kubectl:
    """Where kubectl is and which cluster it speaks to.

    environment: what it runs with, in which it looks for KUBECONFIG. context, kubeconfig and
    namespace: as its options, its own defaults where empty. request_timeout: seconds for one
    request. warn: gets each warning of the API server.
    """

    environment: Mapping[str, str]
    context: str = ""
    kubeconfig: Path | None = None
    namespace: str = ""
    request_timeout: float = 30.0
    binary: str = "kubectl"
    warn: Callable[[str], None] = unheard

    def run(self, *arguments: str, stdin: str = "", patience: float = 0.0) -> str:
        """What kubectl prints for these arguments.

        patience: seconds that it may wait for something beyond its requests.
        Raises BadInput, Refused, ClusterUnreachable, ObjectMissing, or ImgctlError with its words.
        """
        command = [self.binary, *self._options(), *arguments]
        try:
            done = subprocess.run(
                command,
                env=dict(self.environment),
                input=stdin,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=self.request_timeout * 2 + patience + _GRACE,
                check=False,
            )
        except FileNotFoundError as error:
            raise ImgctlError(
                f"{self.binary} is not installed here",
                "it carries the objects to the cluster",
                "install it, or pipe `imgctl manifests` to where it is",
            ) from error
        except OSError as error:
            raise ImgctlError(
                f"cannot start {self.binary}", error.strerror or str(error)
            ) from error
        except subprocess.TimeoutExpired as error:
            raise ClusterUnreachable(
                "the cluster does not answer", f"{error.timeout:.0f} s without a word", _OPTIONS
            ) from error
        if done.returncode != 0:
            raise complaint(done.stderr)
        for line in done.stderr.splitlines():
            if line.startswith("Warning: "):
                self.warn(line.removeprefix("Warning: "))
        return done.stdout

    def objects(self, *arguments: str, stdin: str = "") -> list[dict[str, Any]]:
        """The objects kubectl prints for arguments that end in `-o json`; raises as run does."""
        text = self.run(*arguments, "-o", "json", stdin=stdin)
        try:
            found = list(_stream(text))
        except ValueError as error:
            raise ImgctlError("kubectl printed no JSON", str(error)[:120]) from error
        return [
            item
            for value in found
            for item in (value.get("items", []) if value.get("kind", "").endswith("List")
                         else [value])
        ]  # fmt: skip

    def current_context(self) -> str:
        """The context that is used: the one asked for, or the kubeconfig's own; may be empty."""
        if self.context:
            return self.context
        try:
            return self.run("config", "current-context").strip()
        except ClusterUnreachable:
            return ""

    def _options(self) -> list[str]:
        options = [f"--request-timeout={self.request_timeout:.0f}s"]
        if self.context:
            options.append(f"--context={self.context}")
        if self.kubeconfig is not None:
            options.append(f"--kubeconfig={self.kubeconfig}")
        if self.namespace:
            options.append(f"--namespace={self.namespace}")
        return options


def complaint(stderr: str) -> ImgctlError:
    """The error that kubectl's last words mean."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    # Its client library logs every try before the last line, which sums up.
    lines = [line for line in lines if not _LOGGED.match(line)]
    words = _WRAPPING.sub("", " ".join(lines[:6]))[:500] or "it said nothing"
    kind = ImgctlError
    what, hint = "the cluster did not take the objects", ""
    if "error loading config file" in words:
        kind, what, hint = BadInput, "the kubeconfig cannot be read", "correct it, or name another"
    elif "does not exist" in words and "context" in words:
        kind, what, hint = BadInput, "kubectl knows no such context", "kubectl config get-contexts"
    elif any(part in words for part in _NO_CLUSTER):
        kind, what, hint = ClusterUnreachable, "kubectl is told of no cluster", _OPTIONS
    elif any(part in words for part in _UNREACHABLE):
        kind, what, hint = ClusterUnreachable, "the cluster does not answer", _OPTIONS
    elif "certificate" in words and "x509" in words:
        what, hint = "the cluster's certificate is not trusted", "check the kubeconfig's authority"
    elif "Unauthorized" in words or "must be logged in" in words:
        what, hint = "the cluster does not know who asks", "log in, or give another --context"
    elif "Forbidden" in words or "forbidden" in words:
        what, hint = "the cluster does not allow it", "ask for a role that may do it"
    elif "conflict" in words:
        kind, what = Refused, "someone else set the same fields"
        hint = "take them over with --force-conflicts"
    elif "field is immutable" in words or "may not change fields" in words:
        kind, what = Refused, "what is there cannot be changed in place"
        hint = "delete it and make it anew with --replace, or give another --name"
    elif "timed out waiting for the condition" in words:
        what = "what is to be replaced does not end"
        hint = "its node may be offline: kubectl delete --force --grace-period=0 …"
    elif "namespaces" in words and "not found" in words:
        kind, what = ObjectMissing, "the namespace is not there"
        hint = "kubectl create namespace NAME"
    elif "NotFound" in words or "not found" in words:
        kind, what = ObjectMissing, "the object is not there"
    elif "no matches for kind" in words:
        what, hint = "the cluster does not know such objects", "it may be too old"
    return kind(what, words, hint)


def _stream(text: str) -> list[dict[str, Any]]:
    """One JSON object after another: kubectl puts no comma between what it applied."""
    decoder = json.JSONDecoder()
    found, position = [], 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        value, position = decoder.raw_decode(text, position)
        if not isinstance(value, dict):
            raise ValueError(f"{value!r} is no object")
        found.append(value)
    return found
