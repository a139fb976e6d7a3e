"""What buildx and bake are called with: the base pinned, nothing secret in a process list."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from builder.engines.bake import command as bake_command
from builder.engines.bake import target, target_name
from builder.engines.buildx import BuildxOptions, command, environment, prepare
from builder.engines.select import Builder
from builder.engines.stub import write_stub
from builder.plan import BuildPlan
from registry.errors import BadInput, Refused
from registry.layout import LayoutStore
from tests.unit.builder import plans

NEW = Builder("", version="0.29.1")
OPTIONS = BuildxOptions({"PATH": "/bin", "HOME": "/root"})


def plan_of(folder: Path, dockerfile: str, **fields: object) -> BuildPlan:
    base = plans.remote(plans.put_base(folder / "base"))
    return plans.plan(base, dockerfile, plans.context(folder / "c", {"a.py": b"a"}), **fields)


def scratch(folder: Path) -> Path:
    made = folder / "scratch"
    made.mkdir()
    return made


def test_a_graft_is_given_a_stub_and_a_full_build_the_pinned_base(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "COPY --link a.py /a\n")
    graft = command(plan, prepare(plan, scratch(tmp_path)), OPTIONS)
    context = graft[graft.index("--build-context") + 1]
    assert context.startswith(
        f"{plans.BASE.reference}=oci-layout://{os.path.relpath(tmp_path)}/scratch/stub@sha256:"
    )
    full = plan_of(tmp_path / "full", "RUN make\n")
    words = command(full, prepare(full, scratch(tmp_path / "full")), OPTIONS)
    pinned = f"127.0.0.1:5000/{plans.BASE.reference.repository}@{full.remote.manifest.digest}"
    assert f"{plans.BASE.reference}=docker-image://{pinned}" in words
    assert "--platform=linux/arm64" in words
    assert "--provenance=false" in words


def test_odd_folders_do_not_confuse_what_reads_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / 'a, b="c" ${d}'
    odd.mkdir()
    plan = plan_of(tmp_path, "COPY --link a.py /a\n")
    prepared = prepare(plan, scratch(odd))
    (option,) = (word for word in command(plan, prepared, OPTIONS) if word.startswith("--output="))
    (fields,) = csv.reader([option.removeprefix("--output=")])
    assert fields == ["type=oci", "tar=false", f"dest={odd}/scratch/export"]
    value = json.dumps(target(plan, prepared, OPTIONS))
    assert value.count("${") == value.count("$${") > 0


def test_a_folder_that_buildx_cannot_name_is_bad_input_only_where_it_must_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "me@home:2"
    made = odd / "scratch"
    made.mkdir(parents=True)
    plan = plan_of(tmp_path, "COPY --link a.py /a\n")
    with pytest.raises(BadInput, match="with @ or :") as caught:
        prepare(plan, made)
    assert "--dist" in caught.value.hint
    monkeypatch.chdir(odd)
    Path("again").mkdir()
    assert prepare(plan, Path("again")).base_context.startswith("oci-layout://again/stub@sha256:")


def test_the_stub_has_the_bases_settings_and_nothing_in_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "ENV A=1\n")
    digest = write_stub(plan.remote, tmp_path / "stub")
    store = LayoutStore(tmp_path / "stub")
    manifest = store.manifest(digest)
    config = json.loads(store.blob_bytes(manifest.config))
    assert config["config"] == plan.remote.config.settings
    assert config["architecture"] == "arm64"
    assert len(manifest.layers) == 1
    assert manifest.layers[0].size < 100
    assert write_stub(plan.remote, tmp_path / "again") == digest


def test_the_context_holds_the_plans_files_with_their_modes_and_date(tmp_path: Path) -> None:
    files = plans.context(tmp_path / "c", {"sub/run.sh": b"x"}, mode=0o755)
    (tmp_path / "c" / "secret.txt").write_text("not in the plan")
    base = plans.remote(plans.put_base(tmp_path / "base"))
    plan = plans.plan(base, "COPY --link sub/run.sh /run.sh\n", files)
    context = prepare(plan, scratch(tmp_path)).context
    found = sorted(path for path in context.rglob("*") if path.is_file())
    assert [str(path.relative_to(context)) for path in found] == ["sub/run.sh"]
    status = found[0].stat()
    assert (status.st_mode & 0o7777, int(status.st_mtime)) == (0o755, plan.created)


def test_a_file_that_is_gone_is_bad_input(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "COPY --link a.py /a\n")
    (tmp_path / "c" / "a.py").unlink()
    with pytest.raises(BadInput, match=r"a\.py is gone"):
        prepare(plan, scratch(tmp_path))


def test_a_plan_with_wheels_is_not_for_buildx(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "ENV A=1\n", requirements=("x",))
    with pytest.raises(Refused, match="buildx cannot build"):
        prepare(plan, scratch(tmp_path))


def test_the_users_options_are_handed_on(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "RUN make\n")
    options = BuildxOptions({}, "farm", "host", True, ("type=inline",), ("type=local,src=/c",),
                            ("id=netrc,src=/root/.netrc",))  # fmt: skip
    words = command(plan, prepare(plan, scratch(tmp_path)), options)
    assert words[:5] == ["docker", "buildx", "build", "--builder", "farm"]
    for word in ("--network=host", "--allow=network.host", "--no-cache", "--cache-to=type=inline",
                 "--cache-from=type=local,src=/c",
                 "--secret=id=netrc,src=/root/.netrc"):  # fmt: skip
        assert word in words


def test_values_of_build_arguments_go_by_the_environment(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "ARG TOKEN\nENV A=$TOKEN\n", build_args={"TOKEN": "s3cret"})
    words = command(plan, prepare(plan, scratch(tmp_path)), OPTIONS)
    assert "--build-arg=TOKEN" in words
    assert "s3cret" not in " ".join(words)
    assert environment(plan, OPTIONS.environment)["TOKEN"] == "s3cret"


def test_an_argument_named_like_a_variable_of_ours_does_not_replace_it(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "ARG PATH\n", build_args={"PATH": "/evil"})
    words = command(plan, prepare(plan, scratch(tmp_path)), OPTIONS)
    assert "--build-arg=PATH=/evil" in words
    assert environment(plan, OPTIONS.environment)["PATH"] == "/bin"


def test_the_plans_date_is_buildkits_whatever_the_caller_has(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "RUN make\n")
    assert environment(plan, {"SOURCE_DATE_EPOCH": "1"})["SOURCE_DATE_EPOCH"] == "1600000000"


def test_a_bake_target_says_what_the_command_line_says(tmp_path: Path) -> None:
    arguments = {"TOKEN": "${s3cret} %{x}"}
    plan = plan_of(tmp_path, "RUN make\n", build_args=arguments)
    prepared = prepare(plan, scratch(tmp_path))
    value = target(plan, prepared, BuildxOptions({}, "", "host", False, ("type=inline",), ()))
    assert value["platforms"] == ["linux/arm64"]
    assert value["contexts"] == {str(plans.BASE.reference): f"docker-image://{plan.remote.pinned}"}
    # bake reads HCL templates in strings; the value must come out as it is.
    assert value["args"] == {"TOKEN": "$${s3cret} %%{x}", "SOURCE_DATE_EPOCH": "1600000000"}
    assert value["network"] == "host"
    assert value["cache-to"] == ["type=inline"]
    assert "cache-from" not in value
    words = bake_command(tmp_path / "bake.json", BuildxOptions({}, "farm", "", True), NEW)
    assert "s3cret" not in " ".join(words)
    assert {"--builder", "farm", "--no-cache"} < set(words)


def test_targets_have_names_of_their_own_that_a_reader_knows(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "RUN make\n", image="our.app")
    assert target_name(plan, ()) == "our-app-r35-2-1"
    assert target_name(plan, {"our-app-r35-2-1"}) == "our-app-r35-2-1-"


@pytest.mark.parametrize(
    ("network", "version", "allowed"),
    [("host", "0.29.1", True), ("host", "0.17.0", True), ("host", "0.13.1", False),
     ("host", "", True), ("", "0.29.1", False)],
)  # fmt: skip
def test_bake_is_allowed_the_hosts_network_where_it_asks(
    tmp_path: Path, network: str, version: str, allowed: bool
) -> None:
    builder = Builder("", version=version)
    words = bake_command(tmp_path / "bake.json", BuildxOptions({}, network=network), builder)
    assert ("--allow=network.host" in words) == allowed
