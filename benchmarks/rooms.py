"""Size of each room, and import cycles between rooms.

    python benchmarks/rooms.py

Lines are all lines, empty ones included, of the Python files that git knows. A room is a folder or
file directly below the package, or one of the other two folders at the top. Imports inside
functions and those for type checkers count as well.
"""

import ast
import collections
import pathlib
import subprocess
from collections.abc import Iterator, Mapping, Set

from tabulate import tabulate

ROOT = pathlib.Path(__file__).resolve().parents[1]
PACKAGE, ASIDE = "fashion_jax", ("data_builders", "configs")  # next to it in a checkout


def main() -> None:
    command = ["git", "ls-files", f"{PACKAGE}/*.py", *(f"{name}/*.py" for name in ASIDE)]
    listed = subprocess.check_output(command, cwd=ROOT, text=True).split()
    lines, files, imports = collections.Counter(), collections.Counter(), {}
    for path in map(pathlib.PurePath, listed):
        text = (ROOT / path).read_text(encoding="utf-8")
        room = room_of(path.with_suffix("").parts)
        lines[room] += len(text.splitlines())
        files[room] += 1
        names = imported(ast.parse(text), path.parts)
        imports.setdefault(room, set()).update(room_of(name) for name in names)
    rows = [[room, files[room], lines[room]] for room in sorted(files)]
    rows.append(["all", files.total(), lines.total()])
    print(tabulate(rows, ["room", "files", "lines"], "github", intfmt=","))
    found = list(circles({room: others & imports.keys() for room, others in imports.items()}))
    print(f"\nimport cycles between rooms: {len(found)}", *map(" → ".join, found), sep="\n  ")


def room_of(parts: tuple[str, ...]) -> str:
    """Room of a module or file, whose name is split at its dots or slashes."""
    if parts[0] != PACKAGE:
        return parts[0]
    name = parts[1] if len(parts) > 1 else "__init__"
    return name if name in ASIDE else f"{PACKAGE}/{name}"


def imported(tree: ast.AST, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Names of the modules that a file imports, split at their dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = path[: -node.level] if node.level else ()
            module = (*start, *(node.module.split(".") if node.module else ()))
            yield from ((*module, alias.name) for alias in node.names)


def circles(imports: Mapping[str, Set[str]], path: tuple[str, ...] = ()) -> Iterator[list[str]]:
    """Each simple cycle once, from its alphabetically first room."""
    for room in sorted(imports[path[-1]] if path else imports):
        if path[1:] and room == path[0]:
            yield [*path, room]
        elif not path or (room > path[0] and room not in path):
            yield from circles(imports, (*path, room))


if __name__ == "__main__":
    main()
