"""What a transfer comes to: how many blobs and bytes were sent, mounted, and there before."""

from __future__ import annotations

from dataclasses import dataclass

from registry.oci import Document


@dataclass(frozen=True)
class Tally:
    """How many blobs and bytes were sent, mounted, and there before."""

    sent: int = 0
    mounted: int = 0
    present: int = 0
    sent_bytes: int = 0
    mounted_bytes: int = 0
    present_bytes: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[int, ...]:
        """The six numbers, in the order of the fields."""
        return (
            self.sent,
            self.mounted,
            self.present,
            self.sent_bytes,
            self.mounted_bytes,
            self.present_bytes,
        )


def all_present(document: Document) -> Tally:
    """The tally of an image whose every blob the target has."""
    sizes = {blob.digest: blob.size for blob in document.blobs() if not blob.is_foreign}
    return Tally(present=len(sizes), present_bytes=sum(sizes.values()))
