"""Answers a registry gives: error bodies, pages of a list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


class Problem(Exception):
    """A refusal on its way out: an HTTP status with one entry of the error body."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        detail: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The error body of the OCI distribution spec v1.1, which Harbor's API shares."""
        entry: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.detail is not None:
            entry["detail"] = self.detail
        return reply(self.status, {"errors": [entry]}, self.headers)


def reply(status: int, value: Any = None, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response; no body at all when value is None."""
    if value is None:
        return Response(status_code=status, headers=headers)
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return Response(body, status_code=status, headers=kind | dict(headers or {}))
