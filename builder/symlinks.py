"""Folders that are symlinks in the bases.

A linked COPY brings the folders above its files along, and lays them over the base's: a target
below one of these would put a folder in the symlink's place and hide all that is behind it.
"""

from __future__ import annotations

from collections.abc import Mapping

# In every Ubuntu.
ALWAYS = {
    "/var/run": "/run",
    "/var/lock": "/run/lock",
    "/var/spool/mail": "/var/mail",
    "/usr/local/man": "/usr/local/share/man",
}
# Since 20.04 (L4T r34), where /usr is merged.
MERGED = {
    "/bin": "/usr/bin",
    "/sbin": "/usr/sbin",
    "/lib": "/usr/lib",
    "/lib32": "/usr/lib32",
    "/lib64": "/usr/lib64",
    "/libx32": "/usr/libx32",
}
# Where CUDA is in the image; its own folder carries the version.
CUDA = {"/usr/local/cuda": "/usr/local/cuda-X.Y"}


def behind(path: str, links: Mapping[str, str]) -> tuple[str, str] | None:
    """The link that an absolute path is or lies under, and the path's place behind it."""
    for link, real in links.items():
        if path == link or path.startswith(f"{link}/"):
            return link, f"{real}{path[len(link) :]}"
    return None
