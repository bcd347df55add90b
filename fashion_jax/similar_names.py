"""Names that are near each other, or look the same: messages say how they differ."""

import collections
import difflib
import unicodedata
from collections.abc import Iterable, Iterator

# Letters of other scripts with the glyph of a Latin one.
_TWINS = str.maketrans(
    # Cyrillic
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u04cf"
    "\u043a\u0475\u0410\u0412\u0415\u041d\u0406\u0408\u041a\u041c\u041e\u0420\u0421\u0405\u0422"
    "\u0423\u0425\u04c0"
    # Greek
    "\u03b1\u03b9\u03ba\u03bd\u03bf\u03c1\u03c5\u03c7\u0391\u0392\u0395\u0396\u0397\u0399\u039a"
    "\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    # i without dot, script a and g; and a minus, a typographic and a modifier's apostrophe
    "\u0131\u0251\u0261\u2212\u2019\u02bc",
    "aeopcyxijshdqwlkvABEHIJKMOPCSTYXI" + "aikvopuxABEZHIKMNOPTYX" + "iag-''",
)
_ASCII_TWINS = str.maketrans("I1|0", "lllO")  # in many fonts
# Characters without a glyph that are no format characters: fillers and variation selectors.
_NO_GLYPH = {*"\u034f\u115f\u1160\u2800\u3164\uffa0", *map(chr, range(0xFE00, 0xFE10))}
_NO_GLYPH |= {*map(chr, range(0xE0100, 0xE01F0))}
_INVISIBLE = ("Cc", "Cf")
_SHOWN = 2


def did_you_mean(name: str, choices: Iterable[str], cutoff: float = 0.6) -> str:
    r"""Make a hint at the name that was meant.

    One that looks the same comes first, then the nearest, then a full name that ends in `.name`.

        >>> did_you_mean("hat", ["hats", "skirts"])
        "; did you mean 'hats'?"
        >>> did_you_mean("h\u0430ts", ["hats"])[23:]
        'with U+0061 LATIN SMALL LETTER A, not U+0430 CYRILLIC SMALL LETTER A)?'

    Args:
        name: the unknown name.
        choices: the known ones.
        cutoff: least similarity, in 0..1.

    Returns:
        The hint, to be put behind a clause; "" where no name is near.
    """
    names, last = list(choices), name.rpartition(".")[-1]
    base = _base(name)
    alike = [each for each in names if _base(each) == base]
    near = (
        difflib.get_close_matches(name, alike, n=1, cutoff=0)
        or difflib.get_close_matches(name, names, n=1, cutoff=cutoff)
        or [each for each in names if each.rpartition(".")[-1] == last]
    )
    if not near:
        return ""
    differences = list(_unseen_differences(near[0], name))
    shown = differences[:_SHOWN] + ["..."] * (len(differences) > _SHOWN)
    how = f" ({'; '.join(shown)})" if shown else ""
    return f"; did you mean {near[0]!r}{how}?"


def told_apart(names: Iterable[object]) -> list[str]:
    r"""Names as a message lists them; those that look like another one in Python's escapes.

    >>> told_apart(["caf\u00e9", "cafe\u0301", "hats"])
    ["'caf\\xe9'", "'cafe\\u0301'", 'hats']
    """
    texts = list(map(str, names))
    looks = collections.Counter(_look(text) for text in set(texts))
    return [ascii(text) if looks[_look(text)] > 1 else text for text in texts]


def reprs(first: object, second: object) -> tuple[str, str]:
    r"""Two different values as a message shows them; in escapes where they look the same.

    >>> reprs("h\u0430ts", "hats")
    ("'h\\u0430ts'", "'hats'")
    """
    show = ascii if _look(str(first)) == _look(str(second)) else repr
    return show(first), show(second)


def _look(text: str) -> str:
    """Return the same text for texts that look the same."""
    plain = unicodedata.normalize("NFKD", text).translate(_TWINS)
    visible = "".join(
        "-" if unicodedata.category(letter) == "Pd" else letter
        for letter in plain
        if letter.isspace() or not _is_invisible(letter)
    )
    return unicodedata.normalize("NFC", " ".join(visible.split()))


def _base(text: str) -> str:
    """A text's look without marks and case."""
    letters = unicodedata.normalize("NFKD", _look(text))
    return "".join(each for each in letters if not unicodedata.combining(each)).casefold()


def _is_invisible(letter: str) -> bool:
    return unicodedata.category(letter) in _INVISIBLE or letter in _NO_GLYPH


def _unseen_differences(wanted: str, found: str) -> Iterator[str]:
    """Name the characters of two names that differ without being plain ASCII."""
    matcher = difflib.SequenceMatcher(None, wanted, found, autojunk=False)
    for kind, start, end, found_start, found_end in matcher.get_opcodes():
        right, wrong = wanted[start:end], found[found_start:found_end]
        if kind == "equal" or not _can_be_missed(right, wrong):
            continue
        if not wrong:
            yield f"with {_characters(right)}"
        elif not right:
            yield f"without {_characters(wrong)}"
        else:
            yield f"with {_characters(right)}, not {_characters(wrong)}"


def _can_be_missed(right: str, wrong: str) -> bool:
    plain = (right + wrong).isascii() and not any(map(str.isspace, right + wrong))
    return (
        not plain
        or not (right + wrong).isprintable()
        or right.translate(_ASCII_TWINS) == wrong.translate(_ASCII_TWINS)
    )


def _characters(text: str) -> str:
    shown = [f"U+{ord(each):04X} {unicodedata.name(each, '')}".strip() for each in text[:_SHOWN]]
    rest = len(text) - _SHOWN
    return " and ".join(shown) + (f" and {rest} more" if rest > 0 else "")
