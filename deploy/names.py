"""Checks on the names, labels and quantities Kubernetes accepts.

Rules: Kubernetes "Object Names and IDs", "Labels and Selectors" and "Quantity" references.
"""

from __future__ import annotations

import re

from registry.errors import BadInput

_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.ASCII)
_LABEL_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)
_QUANTITY = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[KMGTPE]i|[kMGTPE]|[eE]\+?[0-9]{1,2})?", re.ASCII
)
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*", re.ASCII)


def check_label_name(text: str, what: str) -> str:
    """Return text if it is an RFC 1123 label (at most 63 characters); raise BadInput."""
    if not _DNS_LABEL.fullmatch(text):
        raise BadInput(
            f"{text!r} cannot be a {what}",
            "lower-case letters, digits and '-', at most 63, no '-' at an end",
        )
    return text


def check_subdomain(text: str, what: str) -> str:
    """Return text if it is an RFC 1123 subdomain (at most 253 characters); raise BadInput."""
    parts = text.split(".")
    if len(text) > 253 or not all(_DNS_LABEL.fullmatch(part) for part in parts):
        raise BadInput(
            f"{text!r} cannot be a {what}",
            "lower-case letters, digits, '-' and '.', at most 253, starting and ending in either",
        )
    return text


def check_label(key: str, value: str) -> tuple[str, str]:
    """Return a label or selector pair if both halves are allowed; raise BadInput."""
    prefix, slash, name = key.rpartition("/")
    good_prefix = not slash or (len(prefix) <= 253 and _DNS_SUBDOMAIN.fullmatch(prefix))
    if not good_prefix or not _LABEL_NAME.fullmatch(name):
        raise BadInput(f"{key!r} cannot be a label key", "", "write [prefix/]name=value")
    if value and not _LABEL_NAME.fullmatch(value):
        raise BadInput(
            f"{value!r} cannot be the value of label {key}",
            "letters, digits, '-', '_' and '.', at most 63, letter or digit at both ends",
        )
    return key, value


def label_value(text: str) -> str:
    """The nearest allowed label value: other characters become '-', at most 63."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)[:63].strip("-_.")


def check_quantity(text: str) -> str:
    """Return text if it is a positive memory quantity such as `4Gi`; raise BadInput.

    Fractions of a byte (`512m`, which Docker's users mean as megabytes) are refused.
    """
    found = _QUANTITY.fullmatch(text)
    if found is None or not found["number"].strip("0."):
        raise BadInput(f"{text!r} is not a quantity", "", "write a number and a unit, like 4Gi")
    return text


def check_environment_name(text: str) -> str:
    """Return text if a container may have an environment variable of that name."""
    if not _ENV_NAME.fullmatch(text) or text == "." or text.startswith(".."):
        raise BadInput(
            f"{text!r} cannot be the name of an environment variable",
            "letters, digits, '-', '_' and '.', no digit at the front",
        )
    return text
