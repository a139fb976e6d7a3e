"""What a device holds: chain IDs as the spec defines them, prefixes, and what the scripts print."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.bundle.inventory import SCRIPT, Inventory, chain_ids, parse_inventory
from registry.errors import BadInput
from registry.oci import sha256

DIFF_IDS = [sha256(bytes([number])) for number in range(5)]
layers = st.lists(st.sampled_from(DIFF_IDS), max_size=6)


def test_a_chain_id_is_the_digest_of_the_chain_below_and_the_layer() -> None:
    first, second, third = DIFF_IDS[:3]
    two = "sha256:" + hashlib.sha256(f"{first} {second}".encode()).hexdigest()
    three = "sha256:" + hashlib.sha256(f"{two} {third}".encode()).hexdigest()
    assert chain_ids([first, second, third]) == [first, two, three]
    assert chain_ids([]) == []


@given(layers, layers)
def test_what_two_images_begin_with_alike_is_held(image: list[str], wanted: list[str]) -> None:
    held = Inventory(images=(tuple(image),)).held(wanted)
    assert image[:held] == wanted[:held]
    assert held in (len(image), len(wanted)) or image[held] != wanted[held]


@given(layers, layers)
def test_snapshots_and_images_say_the_same(image: list[str], wanted: list[str]) -> None:
    by_image = Inventory(images=(tuple(image),)).held(wanted)
    assert Inventory(chains=frozenset(chain_ids(image))).held(wanted) == by_image


def test_a_layer_on_another_base_is_not_held() -> None:
    assert Inventory(images=((DIFF_IDS[1], DIFF_IDS[2]),)).held(DIFF_IDS) == 0


def test_the_most_of_all_images_counts() -> None:
    held = Inventory(frozenset(chain_ids(DIFF_IDS[:2])), ((DIFF_IDS[0],),))
    assert held.held(DIFF_IDS) == 2
    assert held.with_image(DIFF_IDS[:4]).held(DIFF_IDS) == 4


def test_output_of_either_engine_is_understood() -> None:
    chains = chain_ids(DIFF_IDS)
    text = f"""imgctl inventory
["{DIFF_IDS[0]}","{DIFF_IDS[1]}"]
[]
KEY                                     PARENT                                  KIND
{chains[2]} {chains[1]} Committed
my-container                            {chains[2]}                             Active
"""
    assert parse_inventory(text, "x") == Inventory(
        frozenset({chains[2]}), ((DIFF_IDS[0], DIFF_IDS[1]), ())
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is no inventory"),
        ("imgctl inventory\n", "is no inventory"),
        ("sha256:abc\n", "is no inventory"),
        ('["sha256:abc"]\n', "is damaged"),
        (f'["{DIFF_IDS[0]}"\n', "is damaged"),
        ("[1]\n", "is damaged"),
        ("Permission denied", "is no inventory"),
    ],
)
def test_what_is_no_inventory_is_refused(text: str, what: str) -> None:
    with pytest.raises(BadInput, match=what):
        parse_inventory(text, "inventory.txt")


@given(st.text())
def test_any_text_is_an_inventory_or_refused(text: str) -> None:
    try:
        parse_inventory(text, "x")
    except BadInput:
        return
    assert "sha256:" in text or "[" in text


def test_the_script_lists_what_docker_and_containerd_print(tmp_path: Path) -> None:
    chain = chain_ids(DIFF_IDS)[1]
    _program(tmp_path / "docker", f"""case "$2" in
ls) printf 'sha256:b\\nsha256:a\\nsha256:b\\n' ;;
inspect) [ "$5" = sha256:a ] && echo '["{DIFF_IDS[0]}"]' || echo '["{DIFF_IDS[1]}"]' ;;
esac""")  # fmt: skip
    _program(tmp_path / "ctr", f"echo KEY PARENT KIND; echo {chain} x Committed; echo a b Active")
    done = subprocess.run(["sh", str(SCRIPT)], capture_output=True, text=True, check=True,
                          env={"PATH": f"{tmp_path}:/usr/bin:/bin"})  # fmt: skip
    assert parse_inventory(done.stdout, "x") == Inventory(
        frozenset({chain}), ((DIFF_IDS[0],), (DIFF_IDS[1],))
    )


def _program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
