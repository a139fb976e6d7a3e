"""Where kinds of objects name images: Kubernetes' own, a few well-known ones, and the user's.

A rule is `Kind:path.to.image`; `*` stands for any key or item, `containers[*].image` is
`containers.*.image`, and keys with dots are quoted: `ConfigMap:data["app.yaml"].image`. Kind `*`
is any object. A path that goes on below a string goes into the YAML or JSON it holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.errors import BadInput

ANY = "*"
_STEP = re.compile(
    r"""(?P<quoted>\[(?:"[^"]+"|'[^']+')\])|\[(?P<item>\*?)\]|\.?(?P<name>[^.\[\]"']+)|\."""
)
_KIND = re.compile(r"\*|[A-Za-z][A-Za-z0-9]*")


@dataclass(frozen=True)
class ImagePath:
    """steps: keys on the way, ANY for whatever key or item is there."""

    kind: str
    steps: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> ImagePath:
        """Parse `Kind:path`; raises BadInput."""
        kind, colon, path = text.partition(":")
        steps: list[str] = []
        position = 0
        while position < len(path):
            found = _STEP.match(path, position)
            if found is None or found[0] == ".":
                raise _bad(text, f"at {path[position:]!r}")
            if found["quoted"]:
                steps.append(found["quoted"][2:-2])
            else:
                steps.append(found["name"] or ANY)
            position = found.end()
        if not colon or not _KIND.fullmatch(kind) or not steps:
            raise _bad(text, "")
        return cls(kind, tuple(steps))


def _bad(text: str, why: str) -> BadInput:
    return BadInput(
        f"{text!r} names no place of an image", why, "write Kind:path.to.image, as Run:spec.image"
    )


_IN_POD = (
    "containers.*.image",
    "initContainers.*.image",
    "ephemeralContainers.*.image",
    "volumes.*.image.reference",
)
_POD_SPECS = {
    "spec": ("Pod",),
    "template.spec": ("PodTemplate",),
    # Rollout is Argo's, CloneSet and BroadcastJob are OpenKruise's, the last two Knative's.
    "spec.template.spec": (
        "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job",
        "Rollout", "CloneSet", "BroadcastJob", "Service", "Configuration",
    ),
    "spec.jobTemplate.spec.template.spec": ("CronJob",),
}  # fmt: skip
_ARGO = (
    "container.image", "script.image", "containerSet.containers.*.image",
    "initContainers.*.image", "sidecars.*.image",
)  # fmt: skip
_TEKTON = ("steps.*.image", "sidecars.*.image", "stepTemplate.image")
# Where Argo's workflows and Tekton's tasks stand; both are found by kind alone.
_TEMPLATES = {
    "spec.templates.*": ("Workflow", "WorkflowTemplate", "ClusterWorkflowTemplate"),
    "spec.workflowSpec.templates.*": ("CronWorkflow",),
}
_TASKS = {
    "spec": ("Task", "ClusterTask"),
    "spec.taskSpec": ("TaskRun",),
    "spec.tasks.*.taskSpec": ("Pipeline",),
    "spec.finally.*.taskSpec": ("Pipeline",),
    "spec.pipelineSpec.tasks.*.taskSpec": ("PipelineRun",),
    "spec.pipelineSpec.finally.*.taskSpec": ("PipelineRun",),
}
_SINGLE = {
    "ImagePrePullJob": "spec.imagePrePullTemplate.images.*",
    "StepAction": "spec.image",
}

Rules = Mapping[str, tuple[ImagePath, ...]]


def rules(own: Iterable[ImagePath] = ()) -> Rules:
    """Every rule by kind: the built-in ones and the user's own."""
    found: dict[str, list[ImagePath]] = {}
    for places, paths in ((_POD_SPECS, _IN_POD), (_TEMPLATES, _ARGO), (_TASKS, _TEKTON)):
        for place, kinds in places.items():
            for kind in kinds:
                parsed = [ImagePath.parse(f"{kind}:{place}.{path}") for path in paths]
                found.setdefault(kind, []).extend(parsed)
    for path in (*(ImagePath.parse(f"{kind}:{path}") for kind, path in _SINGLE.items()), *own):
        found.setdefault(path.kind, []).append(path)
    return {kind: tuple(paths) for kind, paths in found.items()}
