"""`harbor_project` in imgctl.yaml: how a Harbor project is to be when it is made.

harbor_project:
  public: false
  quota: 200GB
  auto-scan: true
  auto-sbom: true
  immutable: ["*-l4t-*"]
  severity: critical
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.errors import BadInput

if TYPE_CHECKING:
    from registry.harbor.projects import ProjectPolicy

_FLAGS = ("public", "auto_scan", "auto_sbom")
_KEYS = (*_FLAGS, "quota", "immutable", "severity")
_SEVERITIES = ("", "low", "medium", "high", "critical")


def project_policy() -> ProjectPolicy:
    """The policy of the settings file in force, private and without limits by default.

    Raises BadInput.
    """
    return parse_policy(policy_section())


def policy_section() -> dict[str, Any]:
    """`harbor_project` of the settings file in force as it is; raises BadInput."""
    from imgctl.settings import load_settings, settings_path

    path = settings_path()
    return load_settings(path).section("harbor_project") if path else {}


def parse_policy(section: dict[str, Any]) -> ProjectPolicy:
    """The policy a `harbor_project` section describes; raises BadInput for what is none."""
    from registry.harbor.projects import ProjectPolicy
    from registry.harbor.rules import check_pattern

    given = {str(key).replace("-", "_"): value for key, value in section.items()}
    unknown = [key for key in given if key not in _KEYS]
    if unknown:
        keys = ", ".join(key.replace("_", "-") for key in _KEYS)
        raise _bad(unknown[0].replace("_", "-"), "there is no such key", f"keys: {keys}")
    for key in _FLAGS:
        if not isinstance(given.get(key, True), bool):
            raise _bad(key.replace("_", "-"), f"it is {given[key]!r}", "write true or false")
    patterns = given.get("immutable", [])
    if not isinstance(patterns, list) or not all(isinstance(item, str) for item in patterns):
        raise _bad("immutable", f"it is {patterns!r}", 'write a list of patterns: ["*-l4t-*"]')
    for pattern in patterns:
        check_pattern(pattern)
    if given.get("severity", "") not in _SEVERITIES:
        raise _bad("severity", f"it is {given['severity']!r}", "low, medium, high or critical")
    values = {key: given[key] for key in (*_FLAGS, "severity") if key in given}
    return ProjectPolicy(immutable=tuple(patterns), quota=_quota(given.get("quota")), **values)


def _quota(value: object) -> int | None:
    """Bytes, UNLIMITED for -1 or `unlimited`, None for the system's default."""
    from imgctl.options import parse_size
    from registry.harbor.projects import UNLIMITED

    if value is None:
        return None
    if value in (-1, "unlimited"):
        return UNLIMITED
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _bad("quota", f"it is {value!r}", "write a size like 200GB, or unlimited")
    return parse_size(str(value))


def _bad(key: str, why: str, hint: str) -> BadInput:
    return BadInput(f"`harbor_project.{key}` in the settings file cannot be used", why, hint)
