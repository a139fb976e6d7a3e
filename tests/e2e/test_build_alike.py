"""Both engines make the same image of a definition, a Dockerfile and a base: one digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Imgctl
from tests.e2e.support import bases
from tests.e2e.support.images import Layout, built, write_image
from tests.e2e.support.watched import Watched


def test_both_engines_make_the_same_image(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path
) -> None:
    # The last is a file of the image like any other, whatever BuildKit makes of such files.
    files = {"run.sh": b"#!/bin/sh\necho hi\n", "größe & co.txt": b"x", "empty": b"",
             ".dockerignore": b"*\n"}  # fmt: skip
    home = write_image(tmp_path, "app", files, env={"A": "1 $HOME", "PATH": "/opt/app:/bin"})
    text = (home / "image.yaml").read_text()
    owned = text.replace("target: /opt/app/run.sh", "target: /opt/app/run.sh\n  mode: '0755'")
    owned = owned.replace("target: /opt/app/empty", "target: /data/deep/empty\n  owner: '1000:44'")
    (home / "image.yaml").write_text(owned)
    layouts: list[Layout] = []
    for name in ("direct", "buildx"):
        imgctl("build", "app", "--l4t", "r35.2.1", "--base-mirror", base.host, "--engine", name,
               "--no-cache", "--dist", f"{name}/dist").check()  # fmt: skip
        layouts.append(built(tmp_path / name, "app"))
    direct, buildx = layouts
    made = len(direct.manifest["layers"])
    assert made == 1 + len(files)
    for layer in range(1, made):
        assert direct.files(layer) == buildx.files(layer)
    contents = {
        path: entry for layer in range(1, made) for path, entry in direct.files(layer).items()
    }
    assert contents["opt/app/run.sh"] == ("0", 0o755, 0, 0, files["run.sh"])
    assert contents["data/deep/empty"] == ("0", 0o644, 1000, 44, b"")
    assert direct.config == buildx.config
    assert direct.manifest == buildx.manifest
    assert direct.digest == buildx.digest


BASE_SETTINGS: list[dict[str, Any]] = [
    {},
    {"Hostname": "", "User": "", "Env": ["PATH=/usr/bin"], "Cmd": ["bash"], "Entrypoint": None,
     "Volumes": None, "OnBuild": None, "Labels": None, "WorkingDir": "", "Image": "sha256:x"},
    {"User": "5", "Env": ["A=base"], "Entrypoint": ["/opt/entry.sh"], "Cmd": ["x"],
     "Labels": {"maintainer": "n"}, "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/d": {}},
     "WorkingDir": "/workspace", "StopSignal": "SIGINT", "Shell": ["/bin/bash", "-c"]},
]  # fmt: skip
INSTRUCTIONS = r"""FROM {{ base.reference }}
ARG VERSION=1.0
ARG GREETING="hello world" EMPTY
ENV A=$VERSION B="${GREETING}!" C='$A' D=${A:-x} E=${NOPE:-d${A}} F=${A:+yes} \
    # a comment
    G=a\ b PATH=/x:$PATH
ENV OLD style value $A
LABEL "two words"="v $A" one=1 three='single $A' four=\\
LABEL five="continued \
   here" six=mid\
word seven=$$x$1${2}y eight="back\slash"
EXPOSE 80 53/udp 9000-9002 $EMPTY
VOLUME /data /more
VOLUME ["/json data"]
STOPSIGNAL SIGTERM
COPY --link --chown=1:2 a.txt /srv/$VERSION/
COPY --link a.* rel/
USER $EMPTY
SHELL ["/bin/sh", "-e", "-c"]
CMD some shell form
ENTRYPOINT []
"""


@pytest.mark.parametrize("settings", BASE_SETTINGS, ids=["bare", "nulls", "full"])
def test_both_engines_read_a_dockerfile_alike(
    engine: str, base: Watched, imgctl: Imgctl, tmp_path: Path, settings: dict[str, Any]
) -> None:
    bases.push_own_base(base.upstream, "alike", tmp_path, settings)
    write_image(tmp_path, "app", {"a.txt": b"a"})
    (tmp_path / "dockerfiles").mkdir()
    (tmp_path / "dockerfiles" / "l4t-base.Dockerfile.j2").write_text(INSTRUCTIONS)
    for name in ("direct", "buildx"):
        arguments = ("--base-mirror", f"{base.host}/alike", "--build-arg", "VERSION=9")
        imgctl("build", "app", "--l4t", "r35.2.1", *arguments, "--engine", name,
               "--dist", f"{name}/dist").check()  # fmt: skip
    direct, buildx = built(tmp_path / "direct", "app"), built(tmp_path / "buildx", "app")
    assert direct.config == buildx.config
    assert direct.digest == buildx.digest
    assert "A=9" in direct.config["config"]["Env"]
