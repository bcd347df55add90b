"""Names of products: those that a spreadsheet spoiled, and those that hardly differ."""

import collections
import re
import unicodedata
from collections.abc import Iterable

MISSING = frozenset(
    {
        *("#n/a", "#na", "n/a", "na", "nan", "-nan", "null", "none", "nil", "<na>", "nat"),
        *("#null!", "#ref!", "#value!", "#name?", "#div/0!", "#num!", "#getting_data"),
        *("(null)", "\\n", "undefined", "missing", "-", "--", "?"),
    }
)
"""Words of spreadsheets, databases and pandas for a cell without a value, in lower case."""

ROUNDED = r"^[+-]?[0-9]+([.,][0-9]+)?[eE]\+[0-9]+$"
"""A number as spreadsheets show long ones: 4.00638E+12 has lost the digits of an EAN."""


def alike(products: Iterable[str]) -> list[str]:
    """Describe names that differ by case, blanks, leading zeros or `.0` alone, such as 17 and 17.0.

    They may be one product or several; nothing but their owner knows.
    """
    groups = collections.defaultdict(list)
    for product in products:
        groups[_bare(product)].append(product)
    pairs = [sorted(group) for group in groups.values() if len(group) > 1]
    return [" and ".join(map(repr, group)) for group in sorted(pairs)]


def _bare(product: str) -> str:
    folded = unicodedata.normalize("NFKC", product).casefold()
    folded = re.sub(r"\s+", "", folded)
    folded = re.sub(r"^(\d+)\.0+$", r"\1", folded)
    return re.sub(r"^0+(?=.)", "", folded)
