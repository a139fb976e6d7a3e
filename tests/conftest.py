"""Options of the tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where Harbor's OpenAPI file lies; it is not ours, and so not in this repository."""
    parser.addoption(
        "--harbor-swagger",
        metavar="PATH",
        default="",
        help="Harbor's api/v2.0/swagger.yaml for tests/contract "
        "[default: ../shared/harbor/swagger.yaml beside this repository]",
    )
