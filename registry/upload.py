"""Sending one blob (OCI distribution spec v1.1, "Pushing Blobs"). First slice: one PUT."""

from __future__ import annotations

from registry.auth import Permission
from registry.blobs import OpenChunks
from registry.oci import Descriptor
from registry.session import Call, Session


class Uploads:
    """Uploads to the repositories of one host."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def mount(
        self, repository: str, needs: frozenset[Permission], descriptor: Descriptor, source: str
    ) -> bool:
        """Mount."""
        answer = self._session.call(
            Call(
                "POST",
                f"/v2/{repository}/blobs/uploads/?mount={descriptor.digest}&from={source}",
                "mount",
                needs,
            )
        )
        return answer.status == 201

    def push(
        self,
        repository: str,
        needs: frozenset[Permission],
        descriptor: Descriptor,
        open_chunks: OpenChunks,
    ) -> None:
        """Send a blob."""
        doing = f"push to {self._session.host}/{repository}"
        start = Call("POST", f"/v2/{repository}/blobs/uploads/", doing, needs)
        answer = self._session.expect(start, 202)
        location = self._session.locate(answer.headers["location"], answer.url)
        url = location.with_query("digest=" + descriptor.digest.replace(":", "%3A"))
        with open_chunks() as chunks:
            call = Call(
                "PUT",
                url,
                doing,
                needs,
                {
                    "Content-Length": str(descriptor.size),
                    "Content-Type": "application/octet-stream",
                },
                chunks,
            )
            answer = self._session.call_once(call)
        if answer.status != 201:
            raise self._session.error(call, answer)
