"""How a build came about, as SLSA provenance v1 in an in-toto statement.

Spec: https://slsa.dev/spec/v1.0/provenance. Everything is taken from the build record, so that
the same build gives the same statement whenever it is attested.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from builder.instructions import parse
from builder.record import BuildRecord
from registry.errors import BadInput
from registry.reference import Reference
from registry.signing.purl import image_purl, wheel_purl
from registry.signing.statement import PROVENANCE, Statement

BUILD_TYPE = "urn:imgctl:build:1"
"""Names the meaning of the parameters below."""

LOCAL_BUILDER = "urn:imgctl:builder:local"
"""The builder's id where nobody gives one: some machine, vouched for by the key alone."""

# `COPY --from=IMAGE` and `RUN --mount=type=bind,from=IMAGE`.
_FROM = re.compile(r"(?:--|,|=)from=([^,\s]+)")
_OCI = "org.opencontainers.image."


def provenance(
    record: BuildRecord, *, builder: str = LOCAL_BUILDER, version: str = ""
) -> Statement:
    """The statement about a build's manifest.

    builder: the id of who ran the build, a URI. version: imgctl's own. External parameters are
    what a user asked for; internal ones what imgctl made of it, the plan above all. Dependencies
    are named `base`, `source`, `wheel`, `image` for what other stages were built on or copied
    from, and `download` for what was fetched; both are known by digest only where the Dockerfile
    says it.
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
                *_other_images(record),
                *_downloads(record),
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


def _other_images(record: BuildRecord) -> list[dict[str, Any]]:
    """The images that the Dockerfile names besides the base."""
    named = _named_images(_dockerfile(record)) - {str(record.value["base"]["reference"])}
    return [_image(text) for text in sorted(named)]


def _named_images(dockerfile: str) -> set[str]:
    """Every image of a FROM, a `--from` or a mount, as it is written; stages are none."""
    named: set[str] = set()
    stages = {"scratch"}
    for item in parse(dockerfile):
        words = item.rest.split()
        if item.keyword == "FROM" and words:
            named.add(words[0])
            if len(words) == 3:
                stages.add(words[2].lower())
        elif item.keyword in ("COPY", "ADD", "RUN"):
            named.update(_FROM.findall(item.text))
    return {text for text in named if text.lower() not in stages and not text.isdigit()}


def _image(text: str) -> dict[str, Any]:
    try:
        reference = Reference.parse(text)
    except BadInput:
        # A variable, say: no policy allows it, where leaving it out would let it pass.
        return {"name": "image", "uri": f"pkg:oci/{quote(text, safe='')}"}
    digest = reference.digest or ""
    pinned = {"digest": {"sha256": digest.partition(":")[2]}} if digest else {}
    return {"name": "image", "uri": image_purl(reference, digest), **pinned}


def _downloads(record: BuildRecord) -> list[dict[str, Any]]:
    """What ADD fetches, by the checksum it must have."""
    found: dict[str, dict[str, Any]] = {}
    for item in parse(_dockerfile(record)):
        words = (item.exec_form() or item.rest.split())[:-1] if item.keyword == "ADD" else []
        algorithm, _, encoded = item.flags.get("checksum", "").partition(":")
        digest = {"digest": {algorithm: encoded}} if encoded else {}
        for word in words:
            if "://" in word:
                found[word] = {"name": "download", "uri": word, **digest}
    return list(found.values())


def _dockerfile(record: BuildRecord) -> str:
    return str((record.value.get("plan_document") or {}).get("dockerfile") or "")


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
