"""What a device holds, as far as layers go: chain IDs, and images as lists of diff IDs.

Spec: OCI image-spec v1.1, config.md ("Layer DiffID", "Layer ChainID"). containerd names its
snapshots by chain ID; Docker lists every image's diff IDs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.errors import BadInput
from registry.oci import sha256

SCRIPT = Path(__file__).parent.parent / "data" / "inventory.sh"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Inventory:
    """chains: chain IDs of unpacked layers. images: the diff IDs of whole images, lowest first."""

    chains: frozenset[str] = frozenset()
    images: tuple[tuple[str, ...], ...] = ()

    def with_image(self, diff_ids: Sequence[str]) -> Inventory:
        """The same on a device that also holds an image of these layers."""
        return Inventory(self.chains, (*self.images, tuple(diff_ids)))

    def held(self, diff_ids: Sequence[str]) -> int:
        """How many of an image's lowest layers the device holds."""
        chains = chain_ids(diff_ids)
        unpacked = max((n for n, chain in enumerate(chains, 1) if chain in self.chains), default=0)
        return max([unpacked, *(_shared(image, diff_ids) for image in self.images)])


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The chain ID of each layer, lowest first."""
    chains: list[str] = []
    for diff_id in diff_ids:
        chains.append(sha256(f"{chains[-1]} {diff_id}".encode()) if chains else diff_id)
    return chains


def parse_inventory(text: str, name: str) -> Inventory:
    """An inventory from what inventory.sh printed, or from the commands it runs.

    A JSON list is an image's diff IDs; a digest at the start of a line is a snapshot's chain ID.
    Other lines (headings, names of other snapshots) say nothing of layers. name: for messages.
    Raises BadInput when nothing in it is either.
    """
    chains: set[str] = set()
    images: list[tuple[str, ...]] = []
    for line in text.splitlines():
        words = line.split()
        if line.lstrip().startswith("["):
            images.append(_diff_ids(line, name))
        elif words and _DIGEST.fullmatch(words[0]):
            chains.add(words[0])
    if not chains and not images:
        raise BadInput(
            f"{name} is no inventory of a device",
            "it names no layer",
            "collect one: imgctl bundle --script | ssh DEVICE sudo sh > inventory.txt",
        )
    return Inventory(frozenset(chains), tuple(images))


def _diff_ids(line: str, name: str) -> tuple[str, ...]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise BadInput(f"{name} is damaged", f"{line.strip()[:60]}: {error}") from error
    if not all(isinstance(item, str) and _DIGEST.fullmatch(item) for item in value):
        raise BadInput(f"{name} is damaged", f"{line.strip()[:60]} lists no diff IDs")
    return tuple(value)


def _shared(image: Sequence[str], diff_ids: Sequence[str]) -> int:
    """How many layers two images begin with alike."""
    count = 0
    for one, other in zip(image, diff_ids, strict=False):
        if one != other:
            break
        count += 1
    return count
