"""`imgctl pin` against real registries: our build where others named it, and at full size."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import Imgctl, TokenRegistry
from tests.e2e.support import bases
from tests.e2e.support.registries import RunningRegistry, docker_registry

BUILD = ("build", "mnist", "--l4t", "r35.2.1", "--engine", "direct")
DOCUMENTS, IMAGES = 1000, 300

DEPLOYMENT = """\
# Kept by the line's team: do not reformat!
apiVersion: apps/v1
kind: Deployment
metadata: {{name: app-{number}, labels: {{app: "app-{number}"}}}}
spec:
  replicas: 2   # one per cell
  selector: {{matchLabels: {{app: "app-{number}"}}}}
  template:
    metadata: {{labels: {{app: "app-{number}"}}}}
    spec:
      containers:
        - name: main
          image: {image}   # was :latest
          args: ["--port", '8080']
          resources:
              limits: {{memory: 1Gi, nvidia.com/gpu: "1"}}
"""


def digest_of(crane: str, image: str) -> str:
    """What crane says that an image's digest is."""
    done = subprocess.run([crane, "digest", "--insecure", image], capture_output=True, text=True,
                          timeout=60, check=True)  # fmt: skip
    return done.stdout.strip()


def test_our_push_takes_the_place_of_a_name_and_the_rest_is_pinned_as_crane_says(
    imgctl: Imgctl, base_image: RunningRegistry, crane: str, tmp_path: Path
) -> None:
    host = base_image.host
    imgctl(*BUILD, "--base-mirror", host).check()
    imgctl("push", "mnist", "--registry", f"{host}/pinned").check()
    (record,) = tmp_path.glob("dist/mnist/*/push.json")
    ours = json.loads(record.read_text())
    base = f"{host}/nvidia/l4t-base:r35.2.1"
    folder = tmp_path / "manifests"
    folder.mkdir()
    before = DEPLOYMENT.format(number=1, image="mnist:latest")
    (folder / "ours.yaml").write_text(before)
    (folder / "other.yml").write_text(DEPLOYMENT.format(number=2, image=base))

    assert imgctl("pin", "manifests", "--check").code == 3
    imgctl("pin", "manifests", "--image", str(record)).check()

    image = f"{ours['repository']}:{ours['tags'][0]}"
    pinned = f"{image}@{digest_of(crane, image)}"
    assert (folder / "ours.yaml").read_text() == before.replace("mnist:latest", pinned)
    assert (
        f"image: {base}@{digest_of(crane, base)}   # was :latest"
        in (folder / "other.yml").read_text()
    )
    imgctl("pin", "manifests", "--check").check()


def test_what_imgctl_manifests_prints_is_pinned_already(
    imgctl: Imgctl, base_image: RunningRegistry, tmp_path: Path
) -> None:
    host = base_image.host
    imgctl(*BUILD, "--base-mirror", host).check()
    imgctl("push", "mnist", "--registry", f"{host}/pinned").check()
    printed = imgctl("manifests", "mnist", "--kind", "all").check().stdout
    assert imgctl("pin", "-", stdin=printed).check().stdout == printed


def test_a_registry_that_asks_for_a_login_is_told_who_we_are(
    imgctl: Imgctl, base_image: RunningRegistry, token_registry: TokenRegistry, tmp_path: Path
) -> None:
    registry = token_registry.registry
    image = f"{registry.host}/team/app:1.0"
    path = tmp_path / "a.yaml"
    path.write_text(DEPLOYMENT.format(number=1, image=image))
    before = path.read_text()
    refused = imgctl("pin", "a.yaml")
    assert refused.code == 1
    assert "Traceback" not in refused.stderr
    assert path.read_text() == before
    assert not (tmp_path / "imgctl.lock.yaml").exists()

    login = ("login", registry.host, "--username", registry.username, "--password-stdin")
    imgctl(*login, stdin=registry.password).check()
    imgctl("copy", f"{base_image.host}/nvidia/l4t-base:r35.2.1", image).check()
    imgctl("pin", "a.yaml").check()
    assert f"image: {image}@sha256:" in path.read_text()


@pytest.fixture
def many(tmp_path: Path) -> Iterator[RunningRegistry]:
    """A registry that holds IMAGES images `p/app-N:1.0`."""
    with docker_registry(tmp_path / "registry") as running:
        names = [f"p/app-{number}:1.0" for number in range(IMAGES)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: bases.push_base(running.host, name, []), names))
        yield running


def test_a_thousand_documents_with_three_hundred_images(
    imgctl: Imgctl, many: RunningRegistry, tmp_path: Path
) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    texts = [
        DEPLOYMENT.format(number=number, image=f"{many.host}/p/app-{number % IMAGES}:1.0")
        for number in range(DOCUMENTS)
    ]
    (folder / "stream.yaml").write_text("---\n".join(texts[: DOCUMENTS // 2]))
    for number, text in enumerate(texts[DOCUMENTS // 2 :]):
        (folder / f"{number:03}.yaml").write_text(text)
    done = imgctl("pin", "manifests", "--dry-run").check()
    assert f"{DOCUMENTS} image fields, {DOCUMENTS} to pin" in done.stderr
    imgctl("pin", "manifests").check()
    written = imgctl("pin", "manifests", "--check", "--offline").check()
    assert f"{DOCUMENTS} image fields, all pinned" in written.stderr
