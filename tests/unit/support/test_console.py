"""Commands are read from Markdown as a reader would type them."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.support.console import commands

TEXT = """
# Title

```console
$ one --flag
output of one
$ cat > file <<END
name: x
END
$ two \\
    --more
```

```python
$ not a command
```
"""


def test_commands_with_their_here_documents(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text(TEXT)
    assert commands(path) == [
        "one --flag",
        "cat > file <<END\nname: x\nEND",
        "two \\\n    --more",
    ]
