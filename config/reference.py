"""The settings of the environment, read from the code that reads them: docs/settings.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SETTINGS = Path(__file__).with_name("settings.py")
TITLE = """# Settings

Every setting is an environment variable (or a line of the file that `ENV_FILE` names, `.env` by
default). Generated from `config/settings.py` by `manage.py settings-reference`.
"""


class Setting(NamedTuple):
    name: str
    kind: str
    default: str
    line: int


def document(source: str | None = None) -> str:
    """The page in Markdown."""
    text = SETTINGS.read_text() if source is None else source
    lines = text.splitlines()
    parts, section = [TITLE], None
    for setting in _settings(ast.parse(text)):
        if (found := _section(lines, setting.line)) != section:
            section = found
            parts.append(
                f"## {section}\n\n| Variable | Kind | Default | |\n| --- | --- | --- | --- |"
            )
        note = _comment(lines, setting.line).replace("|", "\\|")
        default = setting.default.replace("|", "\\|")
        parts.append(f"| `{setting.name}` | {setting.kind} | {default} | {note} |")
    return "\n".join(_spaced(parts)) + "\n"


def _settings(tree: ast.Module) -> Iterator[Setting]:
    """Each variable where it is first read, in the order of the file."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_read(node.func)]
    seen: set[str] = set()
    for call in sorted(calls, key=lambda node: node.lineno):
        name = call.args[0].value if isinstance(call.args[0], ast.Constant) else ""
        if name and name not in seen:
            seen.add(str(name))
            default = f"`{ast.unparse(call.args[1])}`" if len(call.args) > 1 else "required"
            kind = call.func.attr if isinstance(call.func, ast.Attribute) else ""
            yield Setting(str(name), kind.replace("dj_db_url", "url"), default, call.lineno)


def _is_read(func: ast.expr) -> bool:
    return (
        isinstance(func, ast.Attribute)
        and isinstance(func.value, ast.Name)
        and func.value.id == "env"
        and func.attr != "read_env"
    )


def _section(lines: list[str], line: int) -> str:
    """The last "# --- Title ---" above."""
    titles = [text for text in lines[:line] if text.startswith("# --- ")]
    return titles[-1].strip("# -").partition(" (")[0] if titles else "Files"


def _comment(lines: list[str], line: int) -> str:
    """The comment right above the statement."""
    said: list[str] = []
    for text in reversed(lines[: line - 1]):
        if not text.lstrip().startswith("# ") or text.startswith("# --- "):
            break
        said.insert(0, text.strip("# ").strip())
    return " ".join(said)


def _spaced(parts: list[str]) -> Iterator[str]:
    for number, part in enumerate(parts):
        if number and part.startswith("## "):
            yield ""
        yield part
