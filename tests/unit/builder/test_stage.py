"""What a Dockerfile's last stage does to its base, without a builder."""

from __future__ import annotations

from typing import Any

import pytest

from builder.instructions import final_stage, parse
from builder.stage import (
    Copy,
    Result,
    beyond_stage,
    copied,
    interpret,
    needs_buildx,
    obstacle,
    only_buildx,
)
from registry.errors import BadInput, Refused

BASE = {"Env": ["PATH=/usr/bin", "A=base"], "Cmd": ["/bin/bash"], "WorkingDir": "/work"}


def built(text: str, base: dict[str, Any] = BASE, **arguments: str) -> Result:
    return interpret(final_stage(parse("FROM base\n" + text)), base, arguments, {})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("RUN true", "runs a command"),
        ("WORKDIR /x", "may make a folder"),
        ("ADD a /a", "may unpack"),
        ("COPY a /a", "without --link"),
        ("COPY --link=false a /a", "without --link"),
        ("COPY --link --chmod=755 a /a", "--chmod undoes --link"),
        ("COPY --link --chown=user a /a", "use numbers"),
    ],
)
def test_what_needs_the_bases_content_is_named_with_its_line(line: str, why: str) -> None:
    found = obstacle(final_stage(parse(f"FROM a\nRUN early\nFROM base\nUSER 1\n{line}")))
    assert found is not None
    assert why in found and found.startswith("line 5")


def test_a_stage_of_linked_copies_and_settings_needs_nothing_of_the_base() -> None:
    text = "FROM x AS y\nRUN make\nFROM base\nENV A=1\nCOPY --link --from=y a /a\nCMD a"
    assert obstacle(final_stage(parse(text))) is None
    assert "another stage" in str(needs_buildx(final_stage(parse(text))))


def test_env_replaces_in_place_or_is_added_and_sees_earlier_values() -> None:
    result = built('ENV A=1 B="$PATH:/x"\nENV C=$B')
    assert result.settings["Env"] == ["PATH=/usr/bin", "A=1", "B=/usr/bin:/x", "C=/usr/bin:/x"]


def test_an_entrypoint_drops_the_bases_command_but_not_an_own_one() -> None:
    assert "Cmd" not in built('ENTRYPOINT ["a"]').settings
    assert built('CMD ["c"]\nENTRYPOINT ["a"]').settings["Cmd"] == ["c"]


def test_an_image_without_path_gets_the_usual_one() -> None:
    settings = built('ENV A="$PATH:/x"', {"Env": ["B=1"]}).settings
    usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert settings["Env"] == ["B=1", f"PATH={usual}", f"A={usual}:/x"]


def test_shell_form_gets_a_shell() -> None:
    assert built("CMD echo $HOME").settings["Cmd"] == ["/bin/sh", "-c", "echo $HOME"]
    assert built('SHELL ["/bin/bash"]\nCMD x').settings["Cmd"] == ["/bin/bash", "x"]


def test_arguments_have_defaults_and_do_not_stay_in_the_image() -> None:
    result = built("ARG X=1\nARG Y=2\nENV Z=$X$Y", Y="given")
    assert result.settings["Env"][-1] == "Z=1given"


def test_the_other_settings() -> None:
    settings = built(
        "USER 5\nEXPOSE 80 53/udp\nVOLUME /data\nSTOPSIGNAL SIGINT\nLABEL a=b"
    ).settings
    assert settings["User"] == "5"
    assert settings["ExposedPorts"] == {"80/tcp": {}, "53/udp": {}}
    assert settings["Volumes"] == {"/data": {}}
    assert settings["StopSignal"] == "SIGINT"
    assert settings["Labels"] == {"a": "b"}


def test_settings_of_the_base_that_nobody_touches_stay() -> None:
    assert built("USER 5", BASE | {"Unknown": 7}).settings["Unknown"] == 7


def test_every_instruction_is_a_step_and_copies_know_their_owner() -> None:
    result = built("ENV A=1\nCOPY --link --chown=7 a rel/")
    assert result.steps == (
        ("ENV A=1", None),
        ("COPY --link --chown=7 a rel/", Copy(("a",), "/work/rel/", 7, 7)),
    )


def test_the_json_form_takes_spaces_and_still_expands_variables() -> None:
    ((_, copy),) = built('COPY --link ["a b", "/$A/x y"]').steps
    assert copy == Copy(("a b",), "/base/x y", 0, 0)


@pytest.mark.parametrize("text", ["RUN x", "HEALTHCHECK NONE", "COPY --link --from=x a /a"])
def test_what_only_buildkit_can_do_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="direct engine"):
        built(text)


def test_a_base_with_triggers_is_refused() -> None:
    with pytest.raises(Refused, match="direct engine"):
        built("USER 1", {"OnBuild": ["RUN x"]})


@pytest.mark.parametrize("text", ["COPY --link a", "COPY --link a /x/../../y", "EXPOSE x", "ENV A"])
def test_wrong_instructions_name_their_line(text: str) -> None:
    with pytest.raises(BadInput, match="line 2"):
        built(text)


CONTEXT = ["a.py", "b.py", "data/one", "data/deep/two"]


@pytest.mark.parametrize(
    ("sources", "target", "expected"),
    [
        (("a.py",), "/opt/x.py", [("a.py", "/opt/x.py")]),
        (("a.py",), "/opt/", [("a.py", "/opt/a.py")]),
        (("./a.py", "b.py"), "/", [("a.py", "/a.py"), ("b.py", "/b.py")]),
        (("*.py",), "/o/", [("a.py", "/o/a.py"), ("b.py", "/o/b.py")]),
        (("data",), "/d", [("data/one", "/d/one"), ("data/deep/two", "/d/deep/two")]),
        ((".",), "/d/", [(name, f"/d/{name}") for name in CONTEXT]),
    ],
)
def test_copied_files_land_where_buildkit_puts_them(
    sources: tuple[str, ...], target: str, expected: list[tuple[str, str]]
) -> None:
    assert copied(Copy(sources, target, 0, 0), CONTEXT) == expected


def test_a_source_that_is_not_there_is_refused() -> None:
    with pytest.raises(BadInput, match="no such file"):
        copied(Copy(("missing",), "/x", 0, 0), CONTEXT)
    with pytest.raises(BadInput, match="ending in /"):
        copied(Copy(("a.py", "b.py"), "/x", 0, 0), CONTEXT)


NAMED = "nvcr.io/nvidia/l4t-base:r35.2.1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"FROM {NAMED}\nCOPY --link a /a\n", None),
        (f"FROM scratch AS files\nFROM {NAMED}\nENV A=1\n", None),
        (f"FROM {NAMED} AS made\nRUN make\nFROM {NAMED}\n", "line 1, FROM"),
        (f"FROM {NAMED} AS made\nRUN make\nFROM made\n", "line 1, FROM"),
        ("FROM ubuntu:20.04\nENV A=1\n", "line 1, FROM"),
        ("FROM ${BASE}\nENV A=1\n", "line 1, FROM"),
        (f"FROM {NAMED}\nCOPY --link --from={NAMED} /a /b\n", "line 2, COPY"),
    ],
)
def test_a_base_that_is_needed_beyond_the_last_stage_cannot_be_unseen(
    text: str, why: str | None
) -> None:
    found = beyond_stage(parse(text), NAMED)
    assert (found or "").startswith(why or "")
    assert (found is None) == (why is None)


def test_the_direct_engine_knows_no_argument_before_the_first_from() -> None:
    text = f"ARG TAG=1\nFROM {NAMED}\nARG TAG\nENV TAG=$TAG\n"
    assert str(only_buildx(parse(text), NAMED)).startswith("line 1, ARG")
    assert only_buildx(parse(text.removeprefix("ARG TAG=1\n")), NAMED) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("COPY --link --exclude=*.md a /a/", "--exclude"),
        ("COPY --link --parents a/b /c/", "--parents"),
        ("HEALTHCHECK CMD true", "only buildx knows this instruction"),
    ],
)
def test_what_is_not_known_here_is_left_to_buildx(line: str, why: str) -> None:
    assert why in str(needs_buildx(final_stage(parse(f"FROM base\n{line}"))))


def test_a_from_with_flags_is_left_to_buildx() -> None:
    text = f"FROM --platform=linux/amd64 {NAMED}\n"
    assert str(only_buildx(parse(text), NAMED)).startswith("line 1, FROM")


def test_ports_are_counted_out_and_empty_words_left_out() -> None:
    result = built("EXPOSE 80 9000-9002/UDP $NOTHING", {})
    ports = ["80/tcp", "9000/udp", "9001/udp", "9002/udp"]
    assert result.settings["ExposedPorts"] == {port: {} for port in ports}


@pytest.mark.parametrize("line", ["ENTRYPOINT []", "CMD []", "USER $NOTHING"])
def test_what_is_emptied_is_gone_unless_the_base_had_it_empty(line: str) -> None:
    key = {"CMD": "Cmd", "ENTRYPOINT": "Entrypoint", "USER": "User"}[line.split()[0]]
    assert key not in built(line, {key: "something"}).settings
    assert key not in built(line, {}).settings
    empty: dict[str, Any] = {"Cmd": None, "Entrypoint": None, "User": ""}
    assert built(line, empty).settings[key] == empty[key]


@pytest.mark.parametrize(
    "line",
    ["EXPOSE x", "EXPOSE 70000", "EXPOSE 90-80", "VOLUME $NOTHING", "STOPSIGNAL $NOTHING",
     'CMD ["a", 1]', "ENV A=${B%x}"],
)  # fmt: skip
def test_what_buildkit_would_refuse_is_bad_input(line: str) -> None:
    with pytest.raises(BadInput):
        built(line)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("[ab].txt", "a b"), ("[^a].txt", "! b"), ("[!a].txt", "! a"), ("?.txt", "! a b")],
)
def test_patterns_are_buildkits(pattern: str, found: str) -> None:
    files = ["!.txt", "a.txt", "b.txt", "cc.txt"]
    copy = Copy((pattern,), "/t/", 0, 0)
    assert [source[0] for source, _ in copied(copy, files)] == found.split()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("COPY --link dir//x /t//u", [("dir/x", "/t/u")]),
        ("COPY --link ./dir/. /t/./u/", [("dir/x", "/t/u/x")]),
        ("COPY --link /dir/x /", [("dir/x", "/x")]),
        ("COPY --link dir/x .", [("dir/x", "/work/x")]),
        ("COPY --link dir/x ./", [("dir/x", "/work/x")]),
        ("COPY --link . /t", [("dir/x", "/t/dir/x")]),
    ],
)
def test_paths_are_taken_as_they_are_meant(line: str, found: list[tuple[str, str]]) -> None:
    copy = built(line).steps[0][1]
    assert copy is not None
    assert copied(copy, ["dir/x"]) == found
