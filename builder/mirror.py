"""Registries that stand in for NVIDIA's."""

from __future__ import annotations

from dataclasses import dataclass

from registry.reference import Reference, split_place


@dataclass(frozen=True)
class Mirror:
    """A registry that stands in for the base's own: `HOST` or `HOST/PREFIX`."""

    host: str
    prefix: str = ""

    @classmethod
    def parse(cls, text: str) -> Mirror:
        """Parse `HOST[:PORT][/PREFIX]`; raises BadInput."""
        return cls(*split_place(text))

    def of(self, reference: Reference) -> Reference:
        """Where this mirror keeps the image a reference names."""
        parts = [part for part in (self.prefix, reference.repository) if part]
        return Reference(self.host, "/".join(parts), reference.tag, reference.digest)
