"""Moving an image onto a newer base without building it again.

A grafted image is its base's layers and then its own. When NVIDIA publishes the base's tag anew,
the base's part is exchanged, the image's own layers stay to the byte, and settings that came from
the old base give way to the new one's. Nothing is run, and no layer of either base is read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from builder.base_image import RemoteBase
from builder.dates import timestamp
from builder.graft import Image, Step, graft
from builder.layer import Layer
from builder.output import folder_of, publish, staging
from builder.record import BuildRecord
from registry.errors import Refused
from registry.layout import LayoutStore
from registry.oci import Descriptor, canonical_json, sha256
from registry.store import Store
from release.remote import BASE_DIGEST, BASE_NAME, L4T, TAG, VERSION, RemoteImage

_VARIABLES = "Env"
# History of steps that ran: BuildKit's, and the classic builder's without its "#(nop)".
_RAN = re.compile(r"(RUN |/bin/sh -c (?!#\(nop\))|\|\d+ )")


@dataclass(frozen=True)
class Rebase:
    """An image to be moved. old: the base it stands on. new: the one it shall stand on.

    version, tag, l4t, jetpack: what the result is called and for.
    """

    image: RemoteImage
    old: RemoteBase
    new: RemoteBase
    version: str
    tag: str
    l4t: str
    jetpack: str

    @property
    def own_layers(self) -> tuple[Descriptor, ...]:
        """The layers that are the image's own."""
        return self.image.layers[len(self.old.manifest.layers) :]

    @property
    def identity(self) -> str:
        """The digest of everything that decides the result."""
        return sha256(
            canonical_json(
                {
                    "rebase": self.image.manifest.digest,
                    "onto": self.new.manifest.digest,
                    "tag": self.tag,
                }
            )
        )


def rebased(job: Rebase) -> Image:
    """The documents of the moved image.

    Raises Refused when the image does not stand on the old base, or is of another platform than
    the new one.
    """
    check_stands_on(job.image, job.old)
    old, new = job.old.config, job.new.config
    steps = _own_steps(job)
    settings = carried_over(old.settings, new.settings, job.image.settings)
    names = _names(job)
    labels = {**(settings.get("Labels") or {}), **names}
    annotations = (
        {**job.image.manifest.annotations, **names} if job.image.manifest.annotations else {}
    )
    return graft(
        job.new.manifest,
        new,
        {**settings, "Labels": dict(sorted(labels.items()))},
        steps,
        job.image.config.created,
        {**annotations, "io.imgctl.plan": job.identity} if annotations else {},
    )


def check_stands_on(image: RemoteImage, base: RemoteBase) -> None:
    """Raise Refused unless the image's lowest layers are the base's, by digest and by content."""
    count = len(base.manifest.layers)
    digests = [layer.digest for layer in image.layers[:count]]
    if digests != [layer.digest for layer in base.manifest.layers] or (
        image.diff_ids[:count] != base.config.diff_ids
    ):
        raise Refused(
            f"{image.reference} does not stand on {base.pinned}",
            "its lowest layers are others",
            "build it again instead: imgctl build",
        )


def carried_over(
    old: Mapping[str, Any], new: Mapping[str, Any], image: Mapping[str, Any]
) -> dict[str, Any]:
    """The new base's settings with what the image had changed against its old base.

    Variables and labels are taken one by one; one that extended the old base's value (`PATH`)
    extends the new one's.
    """
    result = dict(new)
    for key in {*image, *old}:
        if image.get(key) == old.get(key):
            continue
        if key == _VARIABLES:
            found = _merged(*(_pairs(item.get(key)) for item in (old, new, image)))
            result[key] = [f"{name}={value}" for name, value in found.items()]
        elif key == "Labels":
            result[key] = _merged(*(dict(item.get(key) or {}) for item in (old, new, image)))
        elif image.get(key):
            result[key] = image[key]
        else:
            result.pop(key, None)
    return result


def record_of(
    job: Rebase, made: Image, command: list[str], workload: Mapping[str, Any]
) -> dict[str, Any]:
    """The record of the moved image, with the fields of a build's (builder/record.py)."""
    base = job.new
    places = dict.fromkeys((item.host, item.repository) for item in (base.source, base.reference))
    diff_ids = (*base.config.diff_ids, *job.image.diff_ids[len(job.old.manifest.layers) :])
    return {
        "schema": 1,
        "kind": "build",
        "image": job.image.reference.repository.rpartition("/")[2],
        "version": job.version,
        "tag": job.tag,
        "l4t": job.l4t,
        "jetpack": job.jetpack,
        "plan": job.identity,
        "engine": "rebase",
        "method": "graft",
        "platform": str(base.platform),
        "digest": made.manifest.digest,
        "media_type": made.manifest.media_type,
        "size": len(made.manifest.raw),
        "config_digest": made.manifest.config.digest,
        "layers": [
            {
                "digest": layer.digest,
                "size": layer.size,
                "media_type": layer.media_type,
                "diff_id": diff_id,
                "ours": place >= len(base.manifest.layers),
            }
            for place, (layer, diff_id) in enumerate(
                zip(made.manifest.layers, diff_ids, strict=True)
            )
        ],
        "base": {
            "reference": str(base.reference.with_tag(base.reference.tag or "latest")),
            "digest": base.manifest.digest,
            "family": base.reference.repository.rpartition("/")[2],
            "l4t": job.l4t.removeprefix("r"),
            "exact": True,
            "reason": f"rebased from {job.image.manifest.digest}",
            "sources": [{"host": host, "repository": name} for host, name in places],
        },
        "sparse": True,
        "command": command,
        "workload": dict(workload),
        "labels": _names(job),
        "wheels": [],
        "created": timestamp(job.image.config.created),
        "timings": {},
        "plan_document": {"rebase": job.image.manifest.digest, "onto": base.manifest.digest},
    }


def _names(job: Rebase) -> dict[str, str]:
    return {
        BASE_DIGEST: job.new.manifest.digest,
        BASE_NAME: str(job.new.reference),
        VERSION: job.version,
        TAG: job.tag,
        L4T: job.l4t,
        "io.imgctl.jetpack": job.jetpack,
    }


def _own_steps(job: Rebase) -> list[Step]:
    """The image's own history, each entry with the layer it made."""
    count = len(job.old.manifest.layers)
    pairs = zip(job.own_layers, job.image.diff_ids[count:], strict=True)
    layers = iter(_kept(layer, diff_id) for layer, diff_id in pairs)
    history = job.image.config.history[len(job.old.config.history) :]
    _check_grafted(job, history)
    steps = [
        Step(
            str(entry.get("created_by", "")),
            None if entry.get("empty_layer") else next(layers, None),
        )
        for entry in history
        if isinstance(entry, dict)
    ]
    # An image without a history, or with less of it than layers, keeps every layer all the same.
    return steps + [Step("imgctl rebase", layer) for layer in layers]


def _check_grafted(job: Rebase, history: Sequence[Any]) -> None:
    """Raise Refused when a step ran on the old base: what it made hangs on what it found there."""
    for entry in history:
        text = str(entry.get("created_by", "")) if isinstance(entry, dict) else ""
        if _RAN.match(text) and not (isinstance(entry, dict) and entry.get("empty_layer")):
            why = f"a step of it ran on the old base: {text[:120]}"
            hint = "build and release it again: imgctl release"
            raise Refused(f"{job.image.reference} is not grafted", why, hint)


def _kept(layer: Descriptor, diff_id: str) -> Layer:
    if not layer.media_type.endswith("gzip"):
        why = f"layer {layer.digest} is {layer.media_type}"
        raise Refused("only gzipped layers can be moved onto another base", why, "build it again")
    # It stays in its repository: there is no file of it here.
    return Layer(Path(), layer.digest, diff_id, layer.size)


def _pairs(variables: object) -> dict[str, str]:
    found = (str(item).partition("=") for item in variables) if isinstance(variables, list) else ()
    return {name: value for name, _, value in found}


def _merged(old: dict[str, str], new: dict[str, str], image: dict[str, str]) -> dict[str, str]:
    result = dict(new)
    for name, value in image.items():
        before = old.get(name)
        if value == before:
            continue
        if before and before in value and name in new:
            result[name] = value.replace(before, new[name], 1)
        else:
            result[name] = value
    for name in old:
        if name not in image:
            result.pop(name, None)
    return result


def write_rebased(
    job: Rebase, store: Store, dist: Path, command: list[str], workload: Mapping[str, Any]
) -> Path:
    """Put the moved image into dist/ like a build: a sparse layout with its record; the folder.

    store: the repository the image is in; its own layers are taken over from there.
    """
    made = rebased(job)
    record = record_of(job, made, command, workload)
    target = folder_of(dist, record["image"], job.tag)
    with staging(dist, record["image"], job.tag) as made_aside:
        layout = LayoutStore.create(made_aside.layout)
        for layer in job.own_layers:
            layout.push_blob(layer, partial(store.open_blob, layer))
        layout.push_blob(made.config_descriptor, lambda: nullcontext(iter((made.config,))))
        layout.put_manifest(made.manifest, job.tag)
        BuildRecord(record).save(made_aside.layout)
        publish(made_aside, target)
    return target
