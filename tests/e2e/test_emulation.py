"""A build whose step dies under QEMU: a real crash of an arm64 process."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import Imgctl
from tests.e2e.support.images import write_image, write_template
from tests.e2e.support.registries import RunningRegistry

PROBE = ("build", "probe", "--l4t", "r35.2.1", "--network", "host")


def test_a_crash_under_qemu_is_named_with_what_to_try(
    engine: str, base_image: RunningRegistry, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_image(tmp_path, "probe")
    # A child of the shell: the first process of a container is deaf to such signals.
    write_template(tmp_path, "l4t-base", "RUN sh -c 'kill -SEGV $$'; exit $?")
    result = imgctl(*PROBE, "--base-mirror", base_image.host, timeout=60)
    assert result.code == 1
    assert "imgctl: QEMU crashed while it ran a step of the build for arm64" in result.stderr
    assert "exit code: 139" in result.stderr
    assert "tonistiigi/binfmt:qemu-v8.1.5" in result.stderr
    assert list((tmp_path / "dist").rglob("index.json")) == []


def test_a_step_that_fails_by_itself_is_not_blamed_on_qemu(
    engine: str, base_image: RunningRegistry, imgctl: Imgctl, tmp_path: Path
) -> None:
    write_image(tmp_path, "probe")
    write_template(tmp_path, "l4t-base", "RUN exit 3")
    result = imgctl(*PROBE, "--base-mirror", base_image.host, timeout=60)
    assert result.code == 1
    assert "a step of the build failed: RUN exit 3" in result.stderr
    assert "QEMU" not in result.stderr
