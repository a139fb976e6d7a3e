"""References are parsed as Docker parses them, and what is none is called so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import BadInput
from registry.reference import Reference, check_host, check_repository, check_tag, is_digest

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("ubuntu", "docker.io", "library/ubuntu", None, None),
        ("ubuntu:22.04", "docker.io", "library/ubuntu", "22.04", None),
        ("dustynv/ros", "docker.io", "dustynv/ros", None, None),
        ("docker.io/ubuntu", "docker.io", "library/ubuntu", None, None),
        ("index.docker.io/ubuntu", "docker.io", "library/ubuntu", None, None),
        ("nvcr.io/nvidia/l4t-base:r35.2.1", "nvcr.io", "nvidia/l4t-base", "r35.2.1", None),
        ("localhost/x", "localhost", "x", None, None),
        ("localhost:5000/x:1", "localhost:5000", "x", "1", None),
        ("127.0.0.1:5000/a/b/c:1", "127.0.0.1:5000", "a/b/c", "1", None),
        ("[::1]:5000/a:1", "[::1]:5000", "a", "1", None),
        ("LOCALHOST/x", "LOCALHOST", "x", None, None),
        (f"h.example/a@{DIGEST}", "h.example", "a", None, DIGEST),
        (f"h.example/a:1@{DIGEST}", "h.example", "a", "1", DIGEST),
        ("h.example/a__b/c---d/e.f_g:_x", "h.example", "a__b/c---d/e.f_g", "_x", None),
        ("docker.io/a/b", "docker.io", "a/b", None, None),
    ],
)
def test_parses(text: str, host: str, repository: str, tag: str | None, digest: str | None) -> None:
    assert Reference.parse(text) == Reference(host, repository, tag, digest)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not an image reference"),
        ("https://h.example/a:1", "as a URL; write 'h.example/a:1'"),
        ("h.example/a:", "'' is not a tag"),
        ("h.example/a:-1", "not a tag"),
        ("h.example/a:" + "x" * 129, "not a tag"),
        ("h.example/a:ü", "not a tag"),
        ("h.example/A:1", "lower case"),
        ("h.example/a b", "not an image reference"),
        ("h.example/a//b", "not an image reference"),
        ("h.example/a/", "not an image reference"),
        ("/a", "not an image reference"),
        ("h.example/a@sha256:123", "not a sha256 digest"),
        ("h.example/a@", "not a sha256 digest"),
        (f"h.example/a@{DIGEST}@{DIGEST}", "not a sha256 digest"),
        ("h.example:99999x/a", "not a registry host"),
        ("h.example:70000/a", "port"),
        ("h.example/" + "a" * 300, "too long"),
        ("localhost:5000", "a host and no repository"),
        ("h.example:5000", "a host and no repository"),
        ("https://user:secret@h.example/a", "write 'h.example/a'"),
        ("a" * 64, "looks like an image ID"),
        ("h.example/a:1\n", "not"),
        ("h.example/a_._b", "not an image reference"),
        ("-h.example/a", "not a registry host"),
    ],
)
def test_refuses(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        Reference.parse(text)
    assert said in str(caught.value)


components = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True)
hosts = st.sampled_from(
    [
        "docker.io",
        "nvcr.io",
        "localhost",
        "localhost:5000",
        "127.0.0.1:5000",
        "[::1]:5000",
        "A.b-c:1",
    ]
)
references = st.builds(
    Reference,
    hosts,
    st.lists(components, min_size=2, max_size=4).map("/".join),
    st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True),
    st.none() | st.just(DIGEST) | st.just("sha512:" + "ab" * 64),
)


@given(references)
def test_what_is_printed_parses_to_the_same_again(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference


@given(st.text(max_size=80) | st.text(alphabet="ab.:/@-_[]0AB ", max_size=40))
def test_any_text_is_a_reference_or_bad_input(text: str) -> None:
    try:
        parsed = Reference.parse(text)
    except BadInput:
        return
    assert Reference.parse(str(parsed)) == parsed
    check_host(parsed.host)
    check_repository(parsed.repository)


@given(st.text(max_size=80))
def test_checks_end_in_bad_input_or_return_what_they_were_given(text: str) -> None:
    for check in (check_host, check_repository, check_tag):
        try:
            assert check(text) == text
        except BadInput as error:
            assert error.what


@pytest.mark.parametrize("text", ["h.example", "h.example:5000", "[::1]:5000", "localhost"])
def test_hosts(text: str) -> None:
    assert check_host(text) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://h.example/", "write 'h.example'"),
        ("http://user:secret@h.example:80/x", "write 'h.example:80'"),
        ("user:secret@h.example", "holds no '@'"),
        ("h.example/project", "not a registry host"),
        ("h.example:port", "not a registry host"),
        ("h.example:0", "port"),
        ("", "not a registry host"),
    ],
)
def test_a_host_that_is_none_is_called_so(text: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_host(text)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


def test_digests() -> None:
    assert is_digest(DIGEST)
    assert not is_digest(DIGEST.upper())
    assert not is_digest(DIGEST + "\n")


def test_pinning_keeps_the_tag_for_the_reader() -> None:
    pinned = Reference.parse("h.example/a:1").with_digest(DIGEST)
    assert str(pinned) == f"h.example/a:1@{DIGEST}"
    assert pinned.target == DIGEST
    assert str(pinned.with_tag("2")) == "h.example/a:2"
