"""Reading image.yaml: YAML with duplicate keys refused, and errors that name line and column."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry.errors import BadInput

if TYPE_CHECKING:
    import yaml

MOST_BYTES = 1 << 20


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping a definition file holds; raises BadInput for everything else."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MOST_BYTES else b""
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadInput(
            f"{path} does not exist", "", "a definition is a folder with an image.yaml"
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadInput(f"{path} cannot be read", reason, "it must be a text file") from error
    if size > MOST_BYTES:
        raise BadInput(f"{path} is {size} bytes", "", "a definition is a few lines of YAML")
    return parse_mapping(data, str(path))


def parse_mapping(data: bytes, name: str) -> dict[str, Any]:
    """The mapping in YAML text; name is for the error. Raises BadInput."""
    import yaml

    try:
        text = data.decode("utf-8-sig")
        value = yaml.load(text, Loader=_loader())  # noqa: S506 - a SafeLoader of ours
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} is not UTF-8 text", str(error)) from error
    except yaml.YAMLError as error:
        raise BadInput(f"{name} is not valid YAML", _reason(error)) from error
    except (ValueError, RecursionError, OverflowError, TypeError) as error:
        # PyYAML lets a few of Python's own errors through: 2024-13-99, deep nesting, odd keys.
        raise BadInput(
            f"{name} is not valid YAML", f"{type(error).__name__}: {error}"[:200]
        ) from error
    if not isinstance(value, dict):
        raise BadInput(f"{name} must hold `key: value` lines", f"it holds {_kind(value)}")
    return value


def _reason(error: Exception) -> str:
    """What PyYAML says, on one line, without its name for a text that is not a file."""
    return " ".join(str(error).replace(' in "<unicode string>",', " at").split())[:200]


def _kind(value: Any) -> str:
    return {"NoneType": "nothing", "list": "a list", "str": "text"}.get(
        type(value).__name__, f"a {type(value).__name__}"
    )


def _loader() -> type[yaml.SafeLoader]:
    import yaml

    class Loader(yaml.SafeLoader):
        """A SafeLoader that refuses a key given twice, where YAML would keep the last."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            """As SafeLoader does, keys checked first."""
            seen: set[Any] = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)
                if not isinstance(key, str):
                    place = key_node.start_mark
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {str(key)[:40]!r} is not text", place
                    )
                if key in seen and key != "<<":
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key!r} is there twice", key_node.start_mark
                    )
                seen.add(key)
            return super().construct_mapping(node, deep)

    return Loader
