"""SARIF 2.1.0: the members the specification asks for, and that indices and names agree."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from builder.lint.check import lint_dockerfile
from builder.lint.finding import load_rules
from builder.lint.sarif import to_sarif
from builder.matrix import Matrix

RULES = load_rules()
TEXT = "FROM nvcr.io/nvidia/l4t-base:r35.4.1\nRUN apt-get upgrade && pip3 install timm\n"

# The part of the 2.1.0 schema that this log uses: required members, types, allowed values.
MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1}},
    "additionalProperties": False,
}
RULE: dict[str, Any] = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "shortDescription": MESSAGE,
        "fullDescription": MESSAGE,
        "help": MESSAGE,
        "defaultConfiguration": {
            "type": "object",
            "properties": {"level": {"enum": ["none", "note", "warning", "error"]}},
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}
LOCATION: dict[str, Any] = {
    "type": "object",
    "required": ["physicalLocation"],
    "properties": {
        "physicalLocation": {
            "type": "object",
            "required": ["artifactLocation", "region"],
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "required": ["uri"],
                    "properties": {"uri": {"type": "string", "format": "uri-reference"}},
                    "additionalProperties": False,
                },
                "region": {
                    "type": "object",
                    "required": ["startLine"],
                    "properties": {"startLine": {"type": "integer", "minimum": 1}},
                    "additionalProperties": False,
                },
            },
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
}
RESULT: dict[str, Any] = {
    "type": "object",
    "required": ["message", "ruleId", "ruleIndex", "level", "locations"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": MESSAGE,
        "locations": {"type": "array", "items": LOCATION, "minItems": 1},
        "partialFingerprints": {
            "type": "object",
            "additionalProperties": {"type": "string"},
        },
    },
    "additionalProperties": False,
}
LOG: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs", "$schema"],
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name", "rules"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "semanticVersion": {"type": "string"},
                                    "rules": {
                                        "type": "array",
                                        "items": RULE,
                                        "uniqueItems": True,
                                    },
                                },
                                "additionalProperties": False,
                            }
                        },
                        "additionalProperties": False,
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {"type": "array", "items": RESULT},
                },
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}


@pytest.fixture
def log() -> dict[str, Any]:
    findings = lint_dockerfile(TEXT, "./my images/Dockerfile", Matrix.load(), rules=RULES)
    document: dict[str, Any] = json.loads(json.dumps(to_sarif(findings, RULES, "1.2.3")))
    return document


def test_it_has_the_form_of_sarif(log: dict[str, Any]) -> None:
    jsonschema.validate(log, LOG)


def test_every_result_points_at_its_rule(log: dict[str, Any]) -> None:
    run = log["runs"][0]
    assert run["results"]
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_levels_and_places(log: dict[str, Any]) -> None:
    found = {result["ruleId"]: result for result in log["runs"][0]["results"]}
    assert found["apt-upgrade"]["level"] == "error"
    assert found["pulls-torch"]["level"] == "warning"
    assert found["pip-cache"]["level"] == "note"
    place = found["apt-upgrade"]["locations"][0]["physicalLocation"]
    assert place["region"]["startLine"] == 2
    assert place["artifactLocation"]["uri"] == "my%20images/Dockerfile"


def test_a_finding_keeps_its_fingerprint_when_lines_above_change() -> None:
    def prints(text: str) -> set[str]:
        findings = lint_dockerfile(text, "Dockerfile", Matrix.load(), rules=RULES)
        results = to_sarif(findings, RULES, "1.2.3")["runs"][0]["results"]
        return {result["partialFingerprints"]["imgctl/v1"] for result in results}

    assert prints(TEXT) == prints(f"# a comment\n\n{TEXT}")


def test_no_findings_is_an_empty_list() -> None:
    assert to_sarif((), RULES, "1.2.3")["runs"][0]["results"] == []
