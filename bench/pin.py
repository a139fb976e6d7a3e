"""Pinning a thousand documents that name three hundred images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx

from bench.access_log import AccessLog
from bench.bases import DOCKER, Layer, config_of, digest, manifest_of
from bench.measure import Run, interleave, row, run
from bench.result import Result, Table, Target
from bench.setting import Setting
from tests.e2e.support.registries import docker_registry

ABOUT = """\
Ten files hold a thousand Deployments that name three hundred tags in thirty repositories. `imgctl
pin --write` finds the images, resolves each once, edits the files in place and writes its lock.
The peers only resolve: `crane digest` for each distinct image, one after the other and eight at
once; finding the images and editing the files would come on top."""

DOCUMENTS, REPOSITORIES, TAGS = 1000, 30, 10
FIRST, AGAIN = "imgctl pin --write", "imgctl pin --check, afterwards"
SERIAL, PARALLEL = "crane digest × 300", "crane digest × 300, 8 at once"

_DEPLOYMENT = """\
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: job-{number}  # one of many
spec:
  selector: {{matchLabels: {{app: job-{number}}}}}
  template:
    metadata: {{labels: {{app: job-{number}}}}}
    spec:
      containers:
        - name: job
          image: {image}  # not pinned yet
          args: ["--epochs", "1"]
"""


def measure(setting: Setting) -> Result:
    """See ABOUT."""
    folder = setting.work / "registry"
    with docker_registry(folder, access_log=True) as registry:
        log = AccessLog(folder / "registry.log")
        setting.say("300 images")
        images = _push_images(registry.host)
        _write_documents(setting.work / "documents", images)
        (setting.work / "images.txt").write_text("\n".join(images) + "\n")
        setting.say("pinning")
        log.take()
        runs = interleave(_candidates(setting), 2 if setting.quick else 5)
        requests = len(_pinned_alone(setting, log))
    rows = tuple(row(name, runs[name]) for name in runs)
    targets = (
        Target("1,000 documents with 300 images pinned", rows[0].figures["wall"].median, 3, "s"),
        Target("requests for them", requests, len(images), ""),
    )
    table = Table(f"{DOCUMENTS} documents, {len(images)} images", rows)
    return Result("pin", "Pinning manifests", ABOUT, (table,), targets)


def _candidates(setting: Setting) -> dict[str, Callable[[int], Run]]:
    def first(number: int) -> Run:
        return _pin(setting, f"pinned-{number}", "--write")

    def again(number: int) -> Run:
        target = setting.work / f"pinned-{number}"
        if not target.is_dir():
            first(number)
        return run([setting.imgctl, "pin", "--check", "."], cwd=target)

    serial = ["xargs", "--max-args=1", "--arg-file=images.txt", "crane", "digest"]
    parallel = [*serial[:1], "--max-procs=8", *serial[1:]]
    return {
        FIRST: first,
        AGAIN: again,
        SERIAL: lambda number: run(serial, cwd=setting.work),
        PARALLEL: lambda number: run(parallel, cwd=setting.work),
    }


def _pin(setting: Setting, name: str, *options: str) -> Run:
    target = setting.work / name
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(setting.work / "documents", target)
    return run([setting.imgctl, "pin", *options, "."], cwd=target)


def _pinned_alone(setting: Setting, log: AccessLog) -> list[str]:
    """The requests of one run with nothing beside it."""
    log.take()
    _pin(setting, "alone", "--write")
    return [request.path for request in log.take() if "/manifests/" in request.path]


def _push_images(host: str) -> list[str]:
    """Push a small image under every tag, each with a manifest of its own; the references."""
    layer = Layer("opt/file", 1000)
    blob = b"".join(layer.chunks())
    references = []
    with httpx.Client(base_url=f"http://{host}/v2") as client:
        for number in range(REPOSITORIES):
            repository = f"fleet/app-{number}"
            _push_blob(client, repository, blob)
            for tag in range(TAGS):
                config = json.loads(config_of([layer])) | {"created_by": f"{repository}:{tag}"}
                raw = json.dumps(config).encode()
                _push_blob(client, repository, raw)
                headers = {"Content-Type": DOCKER.manifest}
                manifest = manifest_of(raw, [layer], DOCKER)
                place = f"/{repository}/manifests/1.{tag}"
                client.put(place, content=manifest, headers=headers).raise_for_status()
                references.append(f"{host}/{repository}:1.{tag}")
    return references


def _push_blob(client: httpx.Client, repository: str, data: bytes) -> None:
    opened = client.post(f"/{repository}/blobs/uploads/").raise_for_status()
    place = httpx.URL(opened.headers["Location"]).copy_merge_params({"digest": digest(data)})
    client.put(place, content=data).raise_for_status()


def _write_documents(folder: Path, images: list[str]) -> None:
    folder.mkdir()
    per_file = DOCUMENTS // 10
    for file in range(10):
        numbers = range(file * per_file, (file + 1) * per_file)
        texts = [_DEPLOYMENT.format(number=n, image=images[n % len(images)]) for n in numbers]
        (folder / f"jobs-{file}.yaml").write_text("".join(texts))
