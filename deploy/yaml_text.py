"""Objects as YAML text: stable order, no anchors, strings that stay strings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Columns. A command or a description broken over lines is hard to read and to search for.
WHOLE_LINES = 1 << 20


def to_yaml(objects: Iterable[Mapping[str, Any]]) -> str:
    """One YAML stream of the objects, keys in the order they were written."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Writes a repeated value again instead of as an anchor."""

        def ignore_aliases(self, data: Any) -> bool:
            """Always: manifests are read by people."""
            return True

        def represent_str(self, data: str) -> yaml.ScalarNode:
            """Lines as a block, for readers; quoted where a plain style would lose U+0085, a line
            break to YAML 1.1. PyYAML itself quotes a block that could not be read back."""
            style = '"' if "\x85" in data else "|" if "\n" in data.strip() else None
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Plain.add_representer(str, Plain.represent_str)
    return "---\n".join(
        yaml.dump(
            dict(item),
            Dumper=Plain,
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=False,
            width=WHOLE_LINES,
        )
        for item in objects
    )
