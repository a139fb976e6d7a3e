"""SBOMs: what was added is listed, what the base holds is not, and both formats are valid."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from builder.debian_metadata import debian_packages, licences
from builder.layer import write_layer
from builder.python_metadata import Distribution, read_metadata, read_record_paths
from builder.sbom import Inventory, inventory
from builder.sbom_cyclonedx import cyclonedx
from builder.sbom_spdx import spdx
from builder.wheel_unpack import Scheme, wheel_entries
from registry.errors import BadInput, CorruptContent
from tests.unit.builder.records import (
    BASE_DIGEST,
    DIGEST,
    REFERENCE,
    build,
    installed,
    layer,
    wheel,
)

ROOT = "usr/local/lib/python3.8/dist-packages"
TQDM = installed("tqdm", "4.66.1", ROOT, "License: MPL-2.0 AND MIT")
SCRIPT = {"home": None, "home/mnist.py": b"print(1)\n"}


def found(folder: Path, *layers: bytes, **changes: Any) -> Inventory:
    record = build(folder / "layout", *layers, **changes)
    return inventory(record, folder / "layout", REFERENCE, "imgctl-1.2.3")


def paths(listed: Inventory) -> list[str]:
    return [file.path for file in listed.files]


def check_valid(listed: Inventory) -> None:
    """By CycloneDX's own schema, and by the SPDX project's parser and validator."""
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(cyclonedx(listed)))
    assert wrong is None, str(wrong)[:2000]
    document = JsonLikeDictParser().parse(spdx(listed))  # type: ignore[no-untyped-call]
    assert validate_full_spdx_document(document, "SPDX-2.3") == []


def test_files_are_named_with_their_digests(tmp_path: Path) -> None:
    listed = found(tmp_path, layer(SCRIPT))
    (file,) = listed.files
    assert (file.path, file.size) == ("home/mnist.py", 9)
    assert file.sha256 == hashlib.sha256(b"print(1)\n").hexdigest()
    assert file.sha1 == hashlib.sha1(b"print(1)\n").hexdigest()
    assert listed.reference.digest == DIGEST
    assert str(listed.base) == f"nvcr.io/nvidia/l4t-pytorch:r35.2.1-pth2.0-py3@{BASE_DIGEST}"
    check_valid(listed)


def test_a_wheel_of_the_direct_engine_is_a_package_with_the_wheels_hash(tmp_path: Path) -> None:
    path = wheel(tmp_path, "tqdm", "4.66.1", "License-Expression: MPL-2.0 AND MIT")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    made = write_layer(
        wheel_entries(path, Scheme("3.8"), tmp_path / "content"), tmp_path / "layer", 0
    )
    wheels = [{"name": "TQDM", "version": "4.66.1", "file": path.name, "sha256": digest}]
    listed = found(tmp_path, made.path.read_bytes(), layer(SCRIPT), wheels=wheels)
    (package,) = listed.packages
    assert (package.name, package.version) == ("tqdm", "4.66.1")
    assert (package.license, package.file, package.sha256) == (
        "MPL-2.0 AND MIT",
        path.name,
        digest,
    )
    assert f"{ROOT}/tqdm.py" in package.paths
    assert [file.path for file in listed.own_files] == ["home/mnist.py"]
    check_valid(listed)


def test_a_package_that_a_run_step_installed_is_found_too(tmp_path: Path) -> None:
    (package,) = found(tmp_path, layer(TQDM)).packages
    assert (package.name, package.sha256) == ("tqdm", "")
    assert package.paths == frozenset(TQDM)


def test_a_wheel_that_was_replaced_does_not_lend_its_hash(tmp_path: Path) -> None:
    wheels = [{"name": "tqdm", "version": "4.0.0", "file": "x.whl", "sha256": "0" * 64}]
    (package,) = found(tmp_path, layer(TQDM), wheels=wheels).packages
    assert (package.version, package.sha256) == ("4.66.1", "")


def test_what_a_later_layer_deletes_or_replaces_is_not_in_the_image(tmp_path: Path) -> None:
    first = layer(
        {"a/one": b"1", "a/two": b"2", "b/one": b"1", "b/two": b"2", "c/x": b"x", "d": b""}
    )
    second = layer({"a/.wh.one": b"", "b/new": b"n", "b/.wh..wh..opq": b"", "c": b"file",
                    ".wh.d": b"", ".wh.nothing": b""})  # fmt: skip
    assert paths(found(tmp_path, first, second)) == ["a/two", "b/new", "c"]


def test_a_deleted_folder_takes_its_packages_along(tmp_path: Path) -> None:
    folder, _, name = ROOT.rpartition("/")
    listed = found(tmp_path, layer(TQDM), layer({f"{folder}/.wh.{name}": b""}))
    assert listed.packages == ()
    assert paths(listed) == ["usr/local/bin/tqdm"]


def test_names_that_are_no_utf8_are_written_readably(tmp_path: Path) -> None:
    listed = found(tmp_path, layer({b"caf\xe9".decode("utf-8", "surrogateescape"): b"x"}))
    assert paths(listed) == ["caf\\xe9"]
    check_valid(listed)


def test_licences_that_no_list_has_are_told_in_the_packages_own_words(tmp_path: Path) -> None:
    listed = found(
        tmp_path,
        layer(installed("one", "1", ROOT, "License: Ask Bob")),
        layer(installed("two", "2", ROOT, "License-Expression: LicenseRef-Acme OR MIT")),
        layer(installed("three", "3", ROOT)),
    )
    one, three, two = listed.packages
    assert (one.license, one.stated) == ("", "Ask Bob")
    assert (three.license, three.stated) == ("", "")
    assert two.license == "LicenseRef-Acme OR MIT"
    document = spdx(listed)
    declared = {item["name"]: item["licenseDeclared"] for item in document["packages"][2:]}
    assert declared == {"one": "NOASSERTION", "two": two.license, "three": "NOASSERTION"}
    assert document["hasExtractedLicensingInfos"][0]["licenseId"] == "LicenseRef-Acme"
    check_valid(listed)


def test_the_same_package_at_two_places_is_two_entries(tmp_path: Path) -> None:
    other = "opt/app/lib/python3.8/site-packages"
    listed = found(tmp_path, layer(TQDM), layer(installed("tqdm", "4.66.1", other)))
    assert len(listed.packages) == 2
    check_valid(listed)


def test_an_image_that_adds_nothing_has_a_valid_sbom(tmp_path: Path) -> None:
    check_valid(found(tmp_path))


def test_both_documents_say_what_the_image_stands_on(tmp_path: Path) -> None:
    listed = found(tmp_path, layer(SCRIPT))
    purl = f"pkg:oci/l4t-pytorch@sha256%3A{'cd' * 32}"
    relations = {(item["spdxElementId"], item["relationshipType"], item["relatedSpdxElement"])
                 for item in spdx(listed)["relationships"]}  # fmt: skip
    assert ("SPDXRef-Image", "DESCENDANT_OF", "SPDXRef-Base") in relations
    (ancestor,) = cyclonedx(listed)["metadata"]["component"]["pedigree"]["ancestors"]
    assert ancestor["purl"].startswith(purl)
    base = spdx(listed)["packages"][1]
    assert base["externalRefs"][0]["referenceLocator"].startswith(purl)


def test_the_same_build_gives_the_same_documents(tmp_path: Path) -> None:
    texts = set()
    for name in ("one", "two"):
        listed = found(tmp_path / name, layer(SCRIPT), layer(TQDM))
        texts.add(json.dumps([spdx(listed), cyclonedx(listed)]))
    assert len(texts) == 1


def test_a_layer_that_is_gone_or_no_tar_is_told(tmp_path: Path) -> None:
    record = build(tmp_path / "layout", layer(SCRIPT))
    blob = tmp_path / "layout" / "blobs" / record.layers(ours=True)[0].digest.replace(":", "/")
    blob.write_bytes(b"no tar " * 400)
    with pytest.raises(CorruptContent, match="is no tar"):
        inventory(record, tmp_path / "layout", REFERENCE, "imgctl-1")
    blob.write_bytes(layer({"x": bytes(100_000)})[:-40])
    with pytest.raises(CorruptContent, match="is no tar"):
        inventory(record, tmp_path / "layout", REFERENCE, "imgctl-1")
    blob.unlink()
    with pytest.raises(BadInput, match="is missing"):
        inventory(record, tmp_path / "layout", REFERENCE, "imgctl-1")


STATUS = b"""Package: base-files
Status: install ok installed
Architecture: arm64
Maintainer: Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>
Version: 11ubuntu5

Package: libcurl4
Status: install ok installed
Maintainer: Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>
Architecture: arm64
Multi-Arch: same
Version: 1:7.68.0-1ubuntu2+x
Description: a library
 with more to say: on
 .
 several lines

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: tree
Status: install ok installed
Architecture: all
Version: 2.0
"""
APT = {
    "var/lib/dpkg/status": STATUS,
    "var/lib/dpkg/info/libcurl4:arm64.list": b"/.\n/usr\n/usr/lib\n/usr/lib/libcurl.so.4\n",
    "var/lib/dpkg/info/tree.list": b"/.\n/usr/bin/tree\n/usr/share/doc/tree/copyright\n",
    "var/lib/dpkg/info/gone.list": b"/etc/gone\n",
    "usr/lib/libcurl.so.4": b"elf",
    "usr/bin/tree": b"elf",
    "usr/share/doc/tree/copyright": b"Format: https://x/1.0/\n\nFiles: *\nLicense: GPL-2+\n",
}


def test_debian_packages_of_our_layers_are_listed_and_the_bases_are_not(tmp_path: Path) -> None:
    listed = found(tmp_path, layer(APT))
    assert [package.purl for package in listed.packages] == [
        "pkg:deb/ubuntu/libcurl4@1%3A7.68.0-1ubuntu2%2Bx?arch=arm64",
        "pkg:deb/ubuntu/tree@2.0?arch=all",
    ]
    curl, tree = listed.packages
    assert curl.paths == {"usr/lib/libcurl.so.4", "var/lib/dpkg/info/libcurl4:arm64.list"}
    assert (tree.license, tree.stated) == ("", "GPL-2+")
    owned = {file.path for file in listed.files} - {file.path for file in listed.own_files}
    assert {"usr/bin/tree", "usr/share/doc/tree/copyright"} <= owned
    check_valid(listed)


@given(st.binary(max_size=300), st.binary(max_size=100))
def test_any_traces_of_dpkg_are_read_without_failing(status: bytes, listed: bytes) -> None:
    contents = {
        "var/lib/dpkg/status": STATUS + b"\n\n" + status,
        "var/lib/dpkg/info/tree.list": listed,
    }
    assert "tree" in [package.name for package in debian_packages(contents)]
    assert isinstance(licences(b"Format: x\n" + status), str)


@pytest.mark.parametrize(
    ("headers", "license_", "stated"),
    [
        (["License-Expression: Apache-2.0 OR BSD-2-Clause"], "Apache-2.0 OR BSD-2-Clause", ""),
        (["License: MIT"], "MIT", "MIT"),
        (["License: UNKNOWN", "Classifier: License :: OSI Approved :: MIT License"],
         "MIT", "MIT License"),
        (["Classifier: License :: OSI Approved :: BSD License"], "", "BSD License"),
        (["Classifier: License :: OSI Approved :: MIT License",
          "Classifier: License :: OSI Approved :: Apache Software License"],
         "", "MIT License, Apache Software License"),
        (["License: " + "whereas " * 100], "", ""),
        (["License: Dual License"], "", "Dual License"),
        ([], "", ""),
    ],
)  # fmt: skip
def test_a_licence_is_told_only_where_it_is_certain(
    headers: list[str], license_: str, stated: str
) -> None:
    text = "\n".join(["Name: x", "Version: 1", *headers])
    assert read_metadata(text.encode()) == Distribution("x", "1", license_, stated)


@given(st.binary(max_size=200))
def test_any_metadata_is_read_without_failing(content: bytes) -> None:
    distribution = read_metadata(content)
    assert distribution is None or distribution.name
    assert all(not path.startswith("/") for path in read_record_paths(content, "usr/lib"))


def test_a_record_may_point_outside_its_folder() -> None:
    content = b'x.py,sha256=a,1\n../../../bin/x,,\n"odd,name.py",,\n/abs/file,,\n'
    assert read_record_paths(content, ROOT) == {
        f"{ROOT}/x.py",
        "usr/local/bin/x",
        f"{ROOT}/odd,name.py",
        "abs/file",
    }
