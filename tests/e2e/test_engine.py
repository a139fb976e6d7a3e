"""The parts the other tests stand on are the real ones."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.conftest import TokenRegistry
from tests.e2e.support import bases
from tests.e2e.support.registries import RunningRegistry


def test_a_run_step_executes_on_aarch64(
    engine: str, base_image: RunningRegistry, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(
        f"FROM {base_image.host}/{bases.L4T_BASE}\nRUN test $(uname -m) = aarch64\n"
    )
    command = ["docker", "buildx", "build", "--network=host", "--platform=linux/arm64",
               "--no-cache", "--output=type=cacheonly", str(tmp_path)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_token_registry_refuses_the_anonymous(token_registry: TokenRegistry) -> None:
    import httpx

    answer = httpx.get(f"http://{token_registry.registry.host}/v2/")
    assert answer.status_code == 401
    assert token_registry.tokens.realm in answer.headers["WWW-Authenticate"]
