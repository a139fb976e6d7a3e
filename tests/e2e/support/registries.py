"""docker-registry (distribution 2.8) in the ways users run it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.support.certificates import Certificate
from tests.e2e.support.processes import free_port, server, tool


@dataclass(frozen=True)
class RunningRegistry:
    """A registry's host and its data on disk."""

    host: str
    data: Path
    username: str = ""
    password: str = ""


@contextmanager
def docker_registry(
    folder: Path,
    *,
    auth: dict[str, Any] | None = None,
    tls: Certificate | None = None,
    readonly: bool = False,
    data: Path | None = None,
    port: int | None = None,
    access_log: bool = False,
) -> Iterator[RunningRegistry]:
    """Run docker-registry on loopback until the block ends; folder/registry.log is its log."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    root = data or folder / "data"
    http: dict[str, Any] = {"addr": f"127.0.0.1:{port}", "secret": "imgctl-e2e"}
    if tls is not None:
        http["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
    storage: dict[str, Any] = {
        "filesystem": {"rootdirectory": str(root)},
        "delete": {"enabled": True},
    }
    if readonly:
        storage["maintenance"] = {"readonly": {"enabled": True}}
    config = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": not access_log}},
        "storage": storage,
        "http": http,
        **({"auth": auth} if auth else {}),
    }
    path = folder / "config.yml"
    path.write_text(yaml.safe_dump(config))
    command = [tool("docker-registry"), "serve", str(path)]
    with server(command, port, folder / "registry.log"):
        yield RunningRegistry(f"127.0.0.1:{port}", root)


def htpasswd(folder: Path, username: str, password: str) -> Path:
    """An htpasswd file with a bcrypt hash, the only kind docker-registry takes."""
    script = "print crypt($ARGV[0], q{$2b$05$abcdefghijklmnopqrstuu})"
    hashed = subprocess.run(
        [tool("perl"), "-e", script, password], capture_output=True, text=True, check=True
    ).stdout
    assert hashed.startswith("$2b$"), "this system's crypt knows no bcrypt"
    path = folder / "htpasswd"
    path.write_text(f"{username}:{hashed}\n")
    return path


@contextmanager
def body_limit(folder: Path, upstream: str, limit: str) -> Iterator[str]:
    """nginx before a registry, refusing bodies above limit (like `1m`) with its HTML 413."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    path = folder / "nginx.conf"
    path.write_text(
        f"""
pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off; worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size {limit};
    location / {{
      proxy_pass http://{upstream}; proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_request_buffering off; proxy_buffering off;
    }}
  }}
}}
"""
    )
    command = [tool("nginx"), "-p", str(folder), "-c", str(path)]
    with server(command, port, folder / "nginx.log"):
        yield f"127.0.0.1:{port}"
