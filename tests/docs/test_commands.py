"""Every command on the pages is one that the parser takes, with fields and options that exist."""

import contextlib
import io
import re
import shlex

import pytest

from fashion_jax.cli import make_parser
from fashion_jax.config import default_config, from_nested_dict, load_config, set_fields
from fashion_jax.datasets.building.build import available_datasets, builder_class
from fashion_jax.datasets.building.options import given_options
from tests.docs.pages import PAGES, ROOT, blocks, name_of, prose

COMMAND = "fashion-jax"
_INLINE = re.compile(r"`fashion-jax ([^`]+)`")
# A placeholder such as RUN, DIR or DATASET stands for a value of the user's.
_PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9_]*(/.*)?")


def commands_in(text: str) -> list[str]:
    """Lines that call the command, continued lines joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = [line.strip().removeprefix("$ ") for line in joined.splitlines()]
    return [line for line in lines if line.startswith(f"{COMMAND} ")]


def shown_commands() -> list[tuple[str, str]]:
    """(place, command) of all blocks of the pages, and of the configs' docstrings."""
    found = [
        (f"{name_of(page)}:{block.line}", line)
        for page in PAGES
        for block in blocks(page)
        for line in commands_in(block.code)
    ]
    for config in sorted((ROOT / "configs").glob("*.py")):
        docstring = config.read_text().split('"""')[1]
        found += [(name_of(config), line) for line in commands_in(docstring)]
    return found


SHOWN = shown_commands()


def parsed(command: str):
    """Flags of a command, and its `--config.…` and `--option.…` by name."""
    words = shlex.split(command, comments=True)[1:]
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            flags, rest = make_parser().parse_known_args(words)
    except SystemExit:
        pytest.fail(errors.getvalue())
    prefix = "--config." if flags.takes_config else "--option." if flags.takes_options else None
    wrong = [word for word in rest if prefix is None or not word.startswith(prefix)]
    assert not wrong, f"flags that do not exist: {wrong}"
    return flags, dict(word.removeprefix(prefix).split("=", 1) for word in rest)


def test_there_are_commands_on_the_pages():
    assert len({place.split(":")[0] for place, _ in SHOWN}) > 10


@pytest.mark.parametrize("command", sorted({command for _, command in SHOWN}))
def test_command_is_one_that_the_parser_takes(command):
    flags, values = parsed(command)
    if flags.takes_config and values:
        fields = default_config()
        set_fields(fields, values)
        from_nested_dict(fields.to_dict())  # values of the right type, that go together
    dataset = getattr(flags, "dataset", None)
    if dataset is not None and not _PLACEHOLDER.fullmatch(dataset) and dataset != "my_shop":
        assert dataset in available_datasets()
        if flags.takes_options:
            given_options(builder_class(dataset).OPTIONS, values)
    config = getattr(flags, "config", None)
    if config is not None and not config.endswith(".py") and not _PLACEHOLDER.fullmatch(config):
        load_config(config)  # a shipped one, with its variants


def options_of(words: list[str]) -> set[str] | None:
    """Flags that a command takes; `None` for a command that does not exist."""
    parser = make_parser()
    for word in words:
        choices = [action.choices for action in parser._actions if action.nargs == "A..."]
        if not choices or word.startswith("-") or not word.islower():
            break
        if word not in choices[0]:
            return None
        parser = choices[0][word]
    return {flag for action in parser._actions for flag in action.option_strings}


# The changelog names commands that are gone.
@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "CHANGELOG"], ids=name_of)
def test_commands_in_the_text_exist_with_their_flags(page):
    for shown in _INLINE.findall(prose(page)):
        words = shown.split()
        flags = options_of(words)
        assert flags is not None, f"no such command: {COMMAND} {shown}"
        given = {word.split("=")[0] for word in words if re.match(r"--[a-z]", word)}
        given = {flag for flag in given if not flag.startswith(("--config.", "--option."))}
        assert given <= flags, f"{COMMAND} {shown}: no such flags: {sorted(given - flags)}"


@pytest.mark.parametrize(
    "command",
    [
        "fashion-jax index build",  # lacks --workdir
        "fashion-jax index build --workdir=RUN --no_such_flag=3",
        "fashion-jax train --config=C --workdir=RUN --option.margin=1",
        "fashion-jax search photo.jpg --workdir=RUN --k=many",
    ],
)
def test_a_wrong_command_is_found(command):
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        parsed(command)


def test_commands_are_found_in_all_forms():
    text = (
        "$ fashion-jax demo\nfashion-jax train \\\n    --config=C.py\n  fashion-jax embed\nelse\n"
    )
    assert commands_in(text) == [
        "fashion-jax demo",
        "fashion-jax train --config=C.py",
        "fashion-jax embed",
    ]
