"""The cause behind an error of Harbor's API.

Codes and statuses: goharbor/harbor src/lib/http/error.go. Harbor masks the bodies of 5xx, and
proxies before it answer with HTML.
"""

from __future__ import annotations

from registry.answers import Answer, error_for, project_missing
from registry.errors import ImgctlError, NotFound, Refused, RegistryError, Unauthorized


class NotHarbor(RegistryError):
    """The host answers, but not as Harbor does."""


class Conflict(RegistryError):
    """What was to be made exists already, or is being made."""


def not_harbor(answer: Answer) -> NotHarbor:
    """For a host whose /api/v2.0 is not Harbor's."""
    seen = "a web page" if answer.is_html else f"status {answer.status}"
    return NotHarbor(
        f"{answer.url.netloc} is not a Harbor",
        f"{answer.url.target.split('?')[0]} answered with {seen}",
        "check the host and its port; for another kind of registry use --registry",
        status=answer.status,
    )


def problem(answer: Answer, doing: str, user: str) -> ImgctlError:
    """The error behind an answer of the API that is not the one hoped for.

    doing: the end of "cannot …". user: who asked; empty for nobody. 401 is not for here:
    registry.auth knows whether the password or a permission is at fault.
    """
    status, said = answer.status, answer.message
    if missing := project_missing(answer):
        return missing
    if status == 403 and answer.has("FORBIDDEN"):
        if not user:
            host = answer.url.netloc
            hint = f"run: imgctl login {host}"
            return Unauthorized(f"{host} wants a login to {doing}", said, hint, status=status)
        return Unauthorized(
            f"{user} is not allowed to {doing}",
            said,
            "give the account that permission in Harbor, or log in as one that has it",
            status=status,
        )
    if status == 404 and answer.errors:
        return NotFound(f"cannot {doing}: it does not exist", said, "check the name", status=404)
    if status == 409:
        return Conflict(f"cannot {doing}: it exists already", said, status=status)
    if status == 412 and "immutable" in said:
        hint = "`imgctl harbor status` shows the project's rules"
        return Refused(f"cannot {doing}: the tag is immutable", said, hint)
    if status == 412:
        return Refused(f"cannot {doing}: Harbor refuses it as things are", said)
    if status >= 500 and answer.errors:
        # Harbor says no more than "internal server error"; its log has the rest under this id.
        asked = answer.headers.get("x-request-id", "")
        return RegistryError(
            f"cannot {doing}: Harbor answered {status}",
            f"{said} (request {asked})" if asked else said,
            "look for it in the log of Harbor's core; running the same command again is safe",
            status=status,
        )
    if status in (400, 422):
        return RegistryError(f"cannot {doing}: Harbor does not take it", said, status=status)
    return error_for(answer, doing)
