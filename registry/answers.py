"""What a registry, Harbor, or a proxy before them answered, and the cause behind an error.

Error bodies: OCI distribution spec v1.1 "Error Codes" (`{"errors": [{code, message, detail}]}`),
with Harbor's own codes and wording; proxies answer with HTML or nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from registry.errors import (
    CorruptContent,
    ImgctlError,
    MissingBlobs,
    NotFound,
    Refused,
    RegistryError,
    Unauthorized,
)
from registry.reference import is_digest
from registry.url import Url

_PROJECT_MISSING = re.compile(r"project (\S+) not found")
_TAGS = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class ApiError:
    """One entry of an error body."""

    code: str
    message: str
    detail: Any = None


@dataclass(frozen=True)
class Answer:
    """A whole response: status, headers (names in lower case), body, and the URL it came from."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: Url

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def is_html(self) -> bool:
        """Whether a web page came instead of a registry's answer."""
        kind = self.headers.get("content-type", "")
        return "html" in kind or self.body[:200].lstrip().lower().startswith(
            (b"<!doctype", b"<html")
        )

    def json(self) -> Any:
        """The body as JSON; raises RegistryError for a web page, CorruptContent for junk."""
        if self.is_html:
            raise not_a_registry(self)
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise CorruptContent(
                f"{self.url.netloc} sent an answer that is not JSON",
                f"{self.url.target}: {_excerpt(self.body)}",
            ) from error

    @cached_property
    def errors(self) -> tuple[ApiError, ...]:
        """The entries of an error body; empty when the body is not one."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return ()
        items = value.get("errors") if isinstance(value, dict) else None
        if not isinstance(items, list):
            return ()
        return tuple(
            ApiError(str(item.get("code", "")), str(item.get("message", "")), item.get("detail"))
            for item in items
            if isinstance(item, dict)
        )

    def has(self, *codes: str) -> bool:
        """Whether the error body holds one of the codes."""
        return any(error.code in codes for error in self.errors)

    @property
    def message(self) -> str:
        """The registry's own words, or the beginning of whatever came instead."""
        if self.errors:
            parts = [_in_words(error) for error in self.errors[:3]]
            return "; ".join(part for part in parts if part)[:400]
        return _excerpt(self.body)


def error_for(answer: Answer, doing: str) -> ImgctlError:
    """The error behind an answer that is not the one hoped for.

    doing: what was under way, as the end of "cannot …", for example `push to HOST/REPOSITORY`.
    401 is not for here: registry.auth knows who asked with which credentials.
    """
    status, host, said = answer.status, answer.url.netloc, answer.message
    missing = project_missing(answer)
    if missing is not None:
        return missing
    lower = said.lower()
    if status in (400, 404, 405, 501) and answer.has("UNSUPPORTED"):
        return RegistryError(f"{host} does not allow to {doing}", said, status=status)
    if answer.has("MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN") and status in (400, 404):
        return _missing_blobs(answer, doing)
    if status == 403:
        return _forbidden(answer, doing, lower)
    if status == 404:
        if answer.is_html:
            return not_a_registry(answer)
        if not answer.errors:
            return NotFound(
                f"cannot {doing}: {host} knows nothing there", said, _CHECK_NAME, status=404
            )
        return NotFound(f"cannot {doing}: it does not exist", said, _CHECK_NAME, status=404)
    if status in (405, 501) and answer.is_html:
        return not_a_registry(answer)
    if status == 405:
        why = f"it answered {said or 'method not allowed'}: it may be in read-only mode"
        return RegistryError(f"{host} does not allow to {doing}", why, status=405)
    if status == 412 and "immutable" in lower:
        hint = "use another tag: this one never moves, not even to what it names already"
        return Refused(f"cannot {doing}: the tag is immutable", said, hint)
    if status == 412:
        hint = "the project's rules decide this: use another tag, or change the rule in Harbor"
        return Refused(f"cannot {doing}: the project's policy forbids it", said, hint)
    if status == 413:
        return RegistryError(
            f"cannot {doing}: {host} does not take a request that large",
            "a proxy before the registry limits the size of request bodies",
            "raise its limit (nginx client_max_body_size, ingress proxy-body-size)",
            status=413,
        )
    if status == 429:
        hint = "wait a while, or log in: anonymous callers get less"
        return RegistryError(f"{host} asks to slow down", said, hint, status=429)
    if status >= 500:
        what = f"cannot {doing}: {host} answered {status}"
        hint = "look at the registry's own log; running the same command again is safe"
        return RegistryError(what, said, hint, status=status)
    if 200 <= status < 400 and answer.is_html:
        return not_a_registry(answer)
    return RegistryError(f"cannot {doing}: {host} answered {status}", said, status=status)


_CHECK_NAME = "check the name; a private repository may look missing without a login"


def quota_exceeded(answer: Answer) -> bool:
    """Whether this is Harbor refusing what its project has no room for; it says no `quota`."""
    lower = answer.message.lower()
    return answer.status == 403 and ("quota" in lower or "storage resource" in lower)


def project_missing(answer: Answer) -> NotFound | None:
    """Harbor's way to say that a project does not exist: 401 (or 404) with it in the message."""
    if answer.status not in (401, 403, 404):
        return None
    for error in answer.errors:
        found = _PROJECT_MISSING.search(error.message)
        if found:
            name = found[1].strip(":'\"")
            return NotFound(
                f"project {name!r} does not exist on {answer.url.netloc}",
                "",
                "create it first; `imgctl push --harbor` does with --create-project",
                status=answer.status,
            )
    return None


def not_a_registry(answer: Answer) -> RegistryError:
    """The host answers, but not as a registry does."""
    seen = "a web page" if answer.is_html else f"status {answer.status}"
    return RegistryError(
        f"{answer.url.netloc} is not a container registry",
        f"{answer.url.target.split('?')[0]} answered with {seen}",
        "check the host and its port",
        status=answer.status,
    )


def _forbidden(answer: Answer, doing: str, lower: str) -> ImgctlError:
    host, said = answer.url.netloc, answer.message
    if quota_exceeded(answer):
        hint = (
            "raise the project's quota, or delete artifacts and collect garbage: blobs younger "
            "than two hours stay"
        )
        return Refused(f"cannot {doing}: the project's quota has no room for it", said, hint)
    if "read only" in lower or "read-only" in lower:
        hint = "an administrator has switched it; try again later"
        return RegistryError(f"{host} is in read-only mode", said, hint, status=403)
    if "proxy project" in lower:
        hint = "push to an ordinary project; layers are mounted from the proxy project all the same"
        return Refused(f"cannot {doing}: it is a proxy-cache project", said, hint)
    hint = "ask for the permission, or log in as someone who has it"
    return Unauthorized(f"not allowed to {doing}", said, hint, status=403)


def _missing_blobs(answer: Answer, doing: str) -> RegistryError:
    digests: list[str] = []
    for error in answer.errors:
        detail = error.detail.get("digest") if isinstance(error.detail, dict) else error.detail
        if isinstance(detail, str) and is_digest(detail):
            digests.append(detail)
    return MissingBlobs(
        f"cannot {doing}: a blob is not there",
        answer.message,
        "running the same command again sends what is missing",
        status=answer.status,
        digests=tuple(digests),
    )


def _in_words(error: ApiError) -> str:
    detail = error.detail if isinstance(error.detail, str) else ""
    # Who is refused is told which permission is missing; the registry's own list of it is noise.
    asked = error.code in ("UNAUTHORIZED", "DENIED")
    if isinstance(error.detail, dict | list) and error.detail and not asked:
        detail = json.dumps(error.detail)
    text = " ".join(error.message.split()) or error.code
    return f"{text} ({detail[:160]})" if detail and detail not in text else text


def _excerpt(body: bytes) -> str:
    """The first words of a body that is meant for nobody, without its HTML tags."""
    text = _TAGS.sub(" ", body[:2000].decode("utf-8", "replace"))
    words = " ".join(text.split())[:160]
    return "".join(char for char in words if char.isprintable())
