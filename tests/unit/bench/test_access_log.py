"""The registry's access log tells what was read from a repository."""

from __future__ import annotations

from pathlib import Path

from bench.access_log import AccessLog, bytes_read, parse

# Lines as docker-registry 2.8.2 writes them.
LINES = """\
time="2026-11-24T10:00:00Z" level=info msg="listening on 127.0.0.1:5001"
127.0.0.1 - - [24/Nov/2026:10:00:01 +0000] "GET /v2/ HTTP/1.1" 200 2 "" "imgctl/0.1.0"
127.0.0.1 - - [24/Nov/2026:10:00:01 +0000] "HEAD /v2/a/base/manifests/1 HTTP/1.1" 200 1234 "" "x"
127.0.0.1 - - [24/Nov/2026:10:00:01 +0000] "GET /v2/a/base/blobs/sha256:ab HTTP/1.1" 200 316 "" "x"
127.0.0.1 - - [24/Nov/2026:10:00:01 +0000] "GET /v2/a/basement/blobs/sha256:cd HTTP/1.1" 404 9 "" ""
127.0.0.1 - - [24/Nov/2026:10:00:02 +0000] "PUT /v2/b/c/blobs/uploads/1?_s=x HTTP/1.1" 201 0 "" ""
"""


def test_requests_are_found_among_other_lines() -> None:
    found = parse(LINES.splitlines())
    assert [item.method for item in found] == ["GET", "HEAD", "GET", "GET", "PUT"]
    assert (found[2].path, found[2].status, found[2].sent) == (
        "/v2/a/base/blobs/sha256:ab", 200, 316,
    )  # fmt: skip


def test_bytes_are_those_of_bodies_from_that_repository_alone() -> None:
    assert bytes_read(parse(LINES.splitlines()), "a/base") == 316


def test_each_request_is_taken_once(tmp_path: Path) -> None:
    path = tmp_path / "registry.log"
    path.write_text(LINES)
    log = AccessLog(path)
    assert len(log.take()) == 5
    with path.open("a") as file:
        file.write(LINES.splitlines()[1] + "\n")
    assert [item.path for item in log.take()] == ["/v2/"]
    assert log.take() == []
