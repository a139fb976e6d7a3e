"""Findings as SARIF 2.1.0, the format code hosts show beside the lines.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/sarif-v2.1.0-os.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from builder.lint.finding import Finding, Rule
from registry.oci import sha256

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def to_sarif(
    findings: Sequence[Finding], rules: Mapping[str, Rule], version: str
) -> dict[str, Any]:
    """One run with every rule and the findings. version: of imgctl."""
    order = {name: index for index, name in enumerate(rules)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "imgctl",
                        "semanticVersion": version,
                        "rules": [_rule(rule) for rule in rules.values()],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(item, order[item.rule]) for item in findings],
            }
        ],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": f"{rule.fix}\nWhy: {rule.why}"},
        "defaultConfiguration": {"level": _LEVELS[rule.level]},
    }


def _result(item: Finding, index: int) -> dict[str, Any]:
    # Without the line, so that an edit further up does not make the finding a new one.
    identity = sha256(f"{item.filename}\n{item.rule}\n{item.message}".encode())
    return {
        "ruleId": item.rule,
        "ruleIndex": index,
        "level": _LEVELS[item.level],
        "message": {"text": f"{item.message}. Why: {item.why}. Fix: {item.fix}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(item.filename)},
                    "region": {"startLine": item.line},
                }
            }
        ],
        "partialFingerprints": {"imgctl/v1": identity},
    }


def _uri(filename: str) -> str:
    """The file's name as a URI, relative where it is; spaces and the like escaped."""
    from urllib.parse import quote

    scheme = "file://" if filename.startswith("/") else ""
    return scheme + quote(filename.replace("\\", "/").removeprefix("./"))
