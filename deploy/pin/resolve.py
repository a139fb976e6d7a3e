"""Asking registries which digests tags stand for, and whether digests are there."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from registry.client import RegistryClient, Repository
from registry.errors import CorruptContent, NotFound, Refused
from registry.oci import INDEX_TYPES, Platform
from registry.reference import Reference
from registry.workers import work

INDEX = "index"


@dataclass(frozen=True)
class Answer:
    """What a registry says of one image: its digest, or why there is none to use.

    refused: the image is there and is not for the platform.
    """

    digest: str = ""
    problem: str = ""
    refused: bool = False


def look_up(
    client: RegistryClient, images: Iterable[Reference], platform: Platform | None, at_once: int
) -> dict[Reference, Answer]:
    """Each distinct image's answer, at most at_once of them asked for at a time.

    A tag is resolved to its manifest for a platform, or to the index as it is for None; a digest
    is only looked for. Raises RegistryError when a registry does not answer as one.
    """
    distinct = list(dict.fromkeys(images))

    def ask(image: Reference) -> Answer:
        repository = client.repository(image.host, image.repository)
        try:
            if image.digest or platform is None:
                return _present(repository, image)
            return Answer(_for_platform(repository, image, platform))
        except NotFound as error:
            return Answer(problem="; ".join(part for part in (error.what, error.why) if part))
        except Refused as error:
            return Answer(problem=error.what, refused=True)

    answers = work(ask, distinct, at_once, threading.Event())
    return dict(zip(distinct, answers, strict=True))


def _present(repository: Repository, image: Reference) -> Answer:
    found = repository.manifest_descriptor(image.target)
    return Answer(found.digest) if found else Answer(problem=f"{image} is not in its registry")


def _for_platform(repository: Repository, image: Reference, platform: Platform) -> str:
    document = repository.manifest(image.target)
    if document.media_type in INDEX_TYPES:
        return document.choose(platform).digest
    raw = repository.blob_bytes(document.config)
    try:
        found = Platform.from_json(json.loads(raw))
    except (ValueError, AttributeError) as error:
        raise CorruptContent(f"the config of {image} is not JSON", str(error)[:120]) from error
    if not found.matches(platform):
        raise Refused(f"{image} is for {found}, not {platform}")
    return document.digest
