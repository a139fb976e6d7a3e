"""How a build came about, as SLSA provenance v1 in an in-toto statement.

Spec: https://slsa.dev/spec/v1.0/provenance. Everything is taken from the build record, so that
the same build gives the same statement whenever it is attested.
"""

from __future__ import annotations

from typing import Any

from builder.record import BuildRecord
from registry.reference import Reference
from registry.signing.purl import image_purl, wheel_purl
from registry.signing.statement import PROVENANCE, Statement

BUILD_TYPE = "urn:imgctl:build:1"
"""Names the meaning of the parameters below."""

LOCAL_BUILDER = "urn:imgctl:builder:local"
"""The builder's id where nobody gives one: some machine, vouched for by the key alone."""

_OCI = "org.opencontainers.image."


def provenance(
    record: BuildRecord, *, builder: str = LOCAL_BUILDER, version: str = ""
) -> Statement:
    """The statement about a build's manifest.

    builder: the id of who ran the build, a URI. version: imgctl's own. External parameters are
    what a user asked for; internal ones what imgctl made of it, the plan above all. Dependencies
    are named `base`, `source` and `wheel`.
    """
    value = record.value
    plan = value.get("plan_document") or {}
    run: dict[str, Any] = {"id": builder}
    if version:
        run["version"] = {"imgctl": version}
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "image": value["image"],
                "version": value["version"],
                "l4t": value["l4t"],
                "platform": value["platform"],
                "build_args": dict(plan.get("build_args") or {}),
            },
            "internalParameters": {
                "plan": value["plan"],
                "engine": value["engine"],
                "method": value["method"],
                "plan_document": plan,
            },
            "resolvedDependencies": [
                _base(record),
                *_source(value.get("labels") or {}),
                *(_wheel(item) for item in value.get("wheels") or []),
            ],
        },
        "runDetails": {"builder": run},
    }
    return Statement((record.digest,), PROVENANCE, predicate, record.name)


def _base(record: BuildRecord) -> dict[str, Any]:
    base = record.value["base"]
    digest = str(base["digest"])
    architecture = str(record.value["platform"]).partition("/")[2].partition("/")[0]
    return {
        "name": "base",
        "uri": image_purl(Reference.parse(str(base["reference"])), digest, architecture),
        "digest": {"sha256": digest.partition(":")[2]},
    }


def _source(labels: dict[str, str]) -> list[dict[str, Any]]:
    """The image's own code; nothing where the build was not told."""
    url, revision = labels.get(f"{_OCI}source", ""), labels.get(f"{_OCI}revision", "")
    if not url:
        return []
    uri = url if url.startswith("git+") else f"git+{url}"
    digest = {"digest": {"gitCommit": revision}} if revision else {}
    return [{"name": "source", "uri": uri, **digest}]


def _wheel(item: dict[str, str]) -> dict[str, Any]:
    return {
        "name": "wheel",
        "uri": wheel_purl(item["name"], item["version"]),
        "digest": {"sha256": item["sha256"]},
    }
