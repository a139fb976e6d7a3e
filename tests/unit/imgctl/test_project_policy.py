"""`harbor_project` in imgctl.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgctl.project_policy import parse_policy, project_policy
from registry.errors import BadInput
from registry.harbor.projects import PRIVATE, UNLIMITED, ProjectPolicy


def test_without_a_section_a_project_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IMGCTL_CONFIG", raising=False)
    assert project_policy() == PRIVATE
    (tmp_path / "imgctl.yaml").write_text("harbor: h.example\n")
    assert project_policy() == PRIVATE
    assert not PRIVATE.public


def test_a_section_says_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "imgctl.yaml").write_text(
        "harbor_project:\n  public: true\n  quota: 200GB\n  auto-scan: false\n  auto_sbom: true\n"
        '  immutable: ["*-l4t-*"]\n  severity: critical\n'
    )
    assert project_policy() == ProjectPolicy(
        public=True,
        quota=200 * 1000**3,
        auto_scan=False,
        auto_sbom=True,
        immutable=("*-l4t-*",),
        severity="critical",
    )


@pytest.mark.parametrize(("text", "quota"), [(-1, UNLIMITED), ("unlimited", -1), (5000, 5000)])
def test_a_quota_is_a_size_or_none(text: object, quota: int) -> None:
    assert parse_policy({"quota": text}).quota == quota


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"publik": True}, "harbor_project.publik"),
        ({"public": "yes"}, "write true or false"),
        ({"quota": "lots"}, "is not a size"),
        ({"quota": True}, "harbor_project.quota"),
        ({"immutable": "*"}, "a list of patterns"),
        ({"severity": "awful"}, "low, medium, high or critical"),
    ],
)
def test_what_cannot_be_used_is_told(section: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_policy(section)
    assert said in str(caught.value)
