"""Harbor's OpenAPI file, and what goes over the wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.openapi import OpenApi

DEFAULT = Path(__file__).parents[2].parent / "shared" / "harbor" / "swagger.yaml"


@pytest.fixture(scope="session")
def openapi(request: pytest.FixtureRequest) -> OpenApi:
    """The file named by --harbor-swagger; a missing one fails, a missing default is told."""
    given = str(request.config.getoption("--harbor-swagger"))
    if given:
        return OpenApi(Path(given))
    if not DEFAULT.is_file():
        pytest.skip(
            "Harbor's OpenAPI file is not at ../shared/harbor/swagger.yaml: nothing was compared "
            "with it; name it with --harbor-swagger PATH"
        )
    return OpenApi(DEFAULT)
