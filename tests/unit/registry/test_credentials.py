"""Credentials are found and kept where the docker command keeps them."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.credentials import Credentials, erase, find, save
from registry.errors import BadInput, ImgctlError

HELPER = """#!{python}
import json, pathlib, sys
kept = pathlib.Path({kept!r})
entries = json.loads(kept.read_text()) if kept.exists() else {{}}
asked = sys.stdin.read()
if sys.argv[1] == "store":
    entry = json.loads(asked)
    entries[entry["ServerURL"]] = entry
    kept.write_text(json.dumps(entries))
elif asked.strip() not in entries:
    print("credentials not found in native keychain")
    sys.exit(1)
elif sys.argv[1] == "get":
    print(json.dumps(entries[asked.strip()]))
else:
    del entries[asked.strip()]
    kept.write_text(json.dumps(entries))
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "docker"
    folder.mkdir()
    return folder


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A real credential helper named `test`, on PATH; the environment to run it in."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker-credential-test"
    kept = tmp_path / "kept.json"
    program.write_text(HELPER.format(python=sys.executable, kept=str(kept)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return dict(os.environ)


def write(config: Path, value: Any) -> None:
    (config / "config.json").write_text(json.dumps(value))


def read(config: Path) -> Any:
    return json.loads((config / "config.json").read_text())


def encoded(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


def test_nothing_kept(config: Path) -> None:
    assert find("h.example", config, {}) is None
    assert find("h.example", config / "not-there", {}) is None


@pytest.mark.parametrize(
    "key", ["h.example:5000", "https://h.example:5000", "http://h.example:5000/v2/"]
)
def test_from_auths(config: Path, key: str) -> None:
    write(config, {"auths": {"other": {}, key: {"auth": encoded("robot$p+ci:a:b")}}})
    assert find("h.example:5000", config, {}) == Credentials("robot$p+ci", "a:b")
    assert find("h.example", config, {}) is None


def test_docker_hub_by_its_old_name(config: Path) -> None:
    write(config, {"auths": {"https://index.docker.io/v1/": {"auth": encoded("u:p")}}})
    assert find("docker.io", config, {}) == Credentials("u", "p")


def test_an_identity_token(config: Path) -> None:
    write(config, {"auths": {"h": {"auth": encoded("u:"), "identitytoken": "t"}}})
    assert find("h", config, {}) == Credentials(identity_token="t")


def test_an_empty_entry_is_none(config: Path) -> None:
    write(config, {"auths": {"h": {}}})
    assert find("h", config, {}) is None


@pytest.mark.parametrize("auth", ["", "%%%", encoded("nocolon"), encoded(":p"), "//79"])
def test_an_entry_that_cannot_be_read(config: Path, auth: str) -> None:
    write(config, {"auths": {"h": {"auth": auth}}})
    with pytest.raises(BadInput) as caught:
        find("h", config, {})
    assert "imgctl login h" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", '{"auths": []}', "\x00"])
def test_a_config_that_cannot_be_read(config: Path, text: str) -> None:
    (config / "config.json").write_text(text)
    with pytest.raises(BadInput, match=r"config\.json"):
        find("h", config, {})


@given(
    st.binary(max_size=80)
    | st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["auths", "h", "auth", "credHelpers", "identitytoken", "username"]),
                inner,
                max_size=3,
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_config_gives_credentials_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_bytes(data)
    try:
        found = find("h", folder, {})
    except ImgctlError:
        return  # not a config, or one that names a helper nobody has
    assert found is None or isinstance(found, Credentials)


def test_a_helper_for_the_host_comes_before_the_store(config: Path, helper: dict[str, str]) -> None:
    write(config, {"credHelpers": {"h": "test"}, "credsStore": "absent", "auths": {"h": {}}})
    save("h", Credentials("u", "p"), config, helper)
    assert find("h", config, helper) == Credentials("u", "p")


def test_what_a_store_does_not_have_may_be_in_the_file(
    config: Path, helper: dict[str, str]
) -> None:
    write(config, {"credsStore": "test", "auths": {"h": {"auth": encoded("u:p")}}})
    assert find("h", config, helper) == Credentials("u", "p")


def test_a_helper_may_keep_an_identity_token(config: Path, helper: dict[str, str]) -> None:
    write(config, {"credsStore": "test"})
    save("h", Credentials("<token>", "t"), config, helper)
    assert find("h", config, helper) == Credentials(identity_token="t")


def test_a_helper_that_is_missing_is_named(config: Path) -> None:
    write(config, {"credsStore": "absent"})
    with pytest.raises(ImgctlError) as caught:
        find("h", config, {})
    assert "docker-credential-absent" in str(caught.value)


def test_a_helper_that_talks_nonsense(config: Path, tmp_path: Path, helper: dict[str, str]) -> None:
    (tmp_path / "bin" / "docker-credential-test").write_text("#!/bin/sh\necho nonsense\n")
    write(config, {"credsStore": "test"})
    with pytest.raises(ImgctlError, match="docker-credential-test failed"):
        find("h", config, helper)


def test_saving_keeps_everything_else(config: Path) -> None:
    write(config, {"HttpHeaders": {"x": "y"}, "auths": {"a": {"auth": "x"}}, "proxies": {}})
    where = save("h:5000", Credentials("u", "pä"), config, {})
    assert where == str(config / "config.json")
    assert read(config) == {
        "HttpHeaders": {"x": "y"},
        "auths": {"a": {"auth": "x"}, "h:5000": {"auth": encoded("u:pä")}},
        "proxies": {},
    }
    assert find("h:5000", config, {}) == Credentials("u", "pä")


def test_saving_makes_the_folder_and_hides_the_secret(config: Path) -> None:
    folder = config / "new"
    save("h", Credentials("u", "p"), folder, {})
    assert stat.S_IMODE((folder / "config.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["config.json"]


def test_saving_replaces_other_spellings_of_the_host(config: Path) -> None:
    write(config, {"auths": {"https://h/v2/": {"auth": encoded("old:old")}}})
    save("h", Credentials("u", "p"), config, {})
    assert read(config)["auths"] == {"h": {"auth": encoded("u:p")}}


def test_a_linked_config_stays_a_link(config: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.write_text("{}")
    (config / "config.json").symlink_to(real)
    save("h", Credentials("u", "p"), config, {})
    assert (config / "config.json").is_symlink()
    assert "h" in json.loads(real.read_text())["auths"]


def test_a_broken_config_is_not_overwritten(config: Path) -> None:
    (config / "config.json").write_text("{broken")
    with pytest.raises(BadInput):
        save("h", Credentials("u", "p"), config, {})
    assert (config / "config.json").read_text() == "{broken"


def test_with_a_store_the_file_holds_no_secret(config: Path, helper: dict[str, str]) -> None:
    write(config, {"credsStore": "test"})
    assert save("h", Credentials("u", "secret"), config, helper) == "docker-credential-test"
    assert read(config) == {"credsStore": "test", "auths": {"h": {}}}


def test_erasing(config: Path, helper: dict[str, str]) -> None:
    assert not erase("h", config, helper)
    save("h", Credentials("u", "p"), config, helper)
    assert erase("h", config, helper)
    assert find("h", config, helper) is None
    write(config, {"credsStore": "test"})
    save("h", Credentials("u", "p"), config, helper)
    assert erase("h", config, helper)
    assert find("h", config, helper) is None


def test_a_secret_is_not_shown_by_repr() -> None:
    assert "secret" not in repr(Credentials("u", "secret", "secret"))


def test_docker_is_imported_only_for_helpers() -> None:
    code = "import sys, registry.client, registry.credentials; print('docker' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
