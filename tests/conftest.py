"""Options of the tests, and how properties are tried."""

from __future__ import annotations

import pytest
from hypothesis import settings

# The same examples on every machine, however slow it is: what CI says of a commit stays true.
# `--hypothesis-profile=search` looks for new ones.
settings.register_profile("search", deadline=None, derandomize=False)
settings.register_profile("same", deadline=None, derandomize=True)
settings.load_profile("same")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where Harbor's OpenAPI file lies; it is not ours, and so not in this repository."""
    parser.addoption(
        "--harbor-swagger",
        metavar="PATH",
        default="",
        help="Harbor's api/v2.0/swagger.yaml for tests/contract "
        "[default: ../shared/harbor/swagger.yaml beside this repository]",
    )
