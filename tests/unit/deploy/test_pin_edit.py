"""Only the characters of images change, whatever the YAML around them looks like."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.pin.edit import diff, edited
from deploy.pin.files import Change
from deploy.pin.find import find_images
from deploy.pin.plan import Pin, Place
from deploy.pin.rules import rules

DIGEST = "sha256:" + "a" * 64
FILE = Path("a.yaml")

IMAGES = st.sampled_from(
    ["nginx", "nginx:1.27", "a/b:1", "127.0.0.1:5000/x/y:r35.2.1-pth2.0-py3", "h.test/p/q_r.s:1"]
)
WORDS = st.text("abcäß🚀 :#'\"-{}[]&*!|>%@`,?\\", max_size=12)


@dataclass(frozen=True)
class Piece:
    """Text as it stands before, and after pinning."""

    before: str
    after: str


def same(text: str) -> Piece:
    return Piece(text, text)


@st.composite
def scalars(draw: st.DrawFn, indent: str) -> Piece:
    """An image in one of the ways to write it."""
    image = draw(IMAGES)
    before, after = draw(
        st.sampled_from(
            [
                ("", ""),
                ("'", "'"),
                ('"', '"'),
                ("&anchor ", ""),
                ("!!str ", ""),
                ("! '", "'"),
                (f"|-\n{indent}    ", ""),
                (f">-\n{indent}    ", ""),
                (f"\n{indent}    ", ""),
                (f"# over\n{indent}    ", ""),
            ]
        )
    )
    return Piece(f"{before}{image}{after}", f"{before}{image}@{DIGEST}{after}")


@st.composite
def comments(draw: st.DrawFn) -> Piece:
    return same(draw(st.sampled_from(["", "   # " + draw(WORDS)])))


@st.composite
def others(draw: st.DrawFn, indent: str) -> Piece:
    """A line that names no image, though it may look like it."""
    word = draw(WORDS)
    quoted = word.replace("'", "''")
    return same(
        draw(
            st.sampled_from(
                [
                    f"{indent}# image: {word}\n",
                    f"{indent}value: '{quoted}'\n",
                    f"{indent}text: |\n{indent}  image: {word}\n",
                    f"{indent}env: [{{name: a, value: 'image: b'}}]\n",
                    "\n",
                    "   \n",
                    f"{indent}seen:   nginx:1.27   \n",
                ]
            )
        )
    )


@st.composite
def containers(draw: st.DrawFn, indent: str) -> list[Piece]:
    scalar = draw(scalars(indent + "  "))
    block = "\n" in scalar.before and scalar.before[0] in "|>"
    comment = same("") if block else draw(comments())
    pieces = [same(f"{indent}- image:{draw(st.sampled_from([' ', '   ']))}"), scalar, comment]
    return [*pieces, same("\n"), draw(others(indent + "  "))]


@st.composite
def pods(draw: st.DrawFn) -> list[Piece]:
    head = draw(st.sampled_from(["---\n", "--- # next\n", "---\n# é\n"]))
    pieces = [same(f"{head}apiVersion: v1\nkind: Pod\nspec:\n"), draw(others("  "))]
    pieces.append(same("  containers:\n"))
    for _ in range(draw(st.integers(1, 3))):
        pieces += draw(containers("  "))
    return pieces


@st.composite
def files(draw: st.DrawFn) -> Piece:
    pieces = [piece for pod in draw(st.lists(pods(), min_size=1, max_size=3)) for piece in pod]
    before = "".join(piece.before for piece in pieces)
    after = "".join(piece.after for piece in pieces)
    mark = draw(st.sampled_from(["", "\ufeff"]))
    ends = draw(st.sampled_from(["\n", "\r\n"]))
    return Piece(mark + before.replace("\n", ends), mark + after.replace("\n", ends))


def pinned(text: str) -> str:
    found, _ = find_images(text, rules())
    return edited(
        text,
        [Pin(Place(FILE, field), f"{field.image}@{DIGEST}", "resolved") for field in found],
    )


@given(files())
@settings(max_examples=150, deadline=None)
def test_only_the_images_change(file: Piece) -> None:
    assert pinned(file.before) == file.after


@given(files())
@settings(max_examples=50, deadline=None)
def test_what_was_yaml_is_yaml_with_the_same_data_but_for_the_images(file: Piece) -> None:
    # PyYAML's composer, unlike YAML, wants each anchor's name once.
    text = file.before.removeprefix("\ufeff").replace("&anchor ", "")
    before = list(yaml.safe_load_all(text))
    after = list(yaml.safe_load_all(pinned(text)))
    for document in (*before, *after):
        for container in document["spec"]["containers"]:
            container["image"] = container["image"].partition("@")[0]
    assert before == after


def test_a_diff_shows_what_changes_and_where() -> None:
    text = "kind: Pod\napiVersion: v1\nspec: {containers: [{image: 'a:1'}]} # keep"
    assert diff(Change(FILE, text, pinned(text))) == (
        "--- a.yaml\n+++ a.yaml\n@@ -1,3 +1,3 @@\n kind: Pod\n apiVersion: v1\n"
        "-spec: {containers: [{image: 'a:1'}]} # keep\n"
        f"+spec: {{containers: [{{image: 'a:1@{DIGEST}'}}]}} # keep\n"
    )


LINES = st.lists(st.sampled_from(["a\n", "b\n", "c\n"]), min_size=1, max_size=40)


@given(LINES, st.sets(st.integers(0, 39)))
def test_a_diff_of_lines_changed_in_place_is_what_difflib_makes(
    lines: list[str], changed: set[int]
) -> None:
    # Every line differs from the others, so that there is one shortest diff.
    before = [f"{number}{line}" for number, line in enumerate(lines)]
    after = [f"new {line}" if number in changed else line for number, line in enumerate(before)]
    change = Change(FILE, "".join(before), "".join(after))
    assert diff(change) == "".join(unified_diff(before, after, "a.yaml", "a.yaml"))


def test_a_new_file_is_shown_whole() -> None:
    assert diff(Change(FILE, None, "a\n")) == "--- /dev/null\n+++ a.yaml\n@@ -0,0 +1 @@\n+a\n"
