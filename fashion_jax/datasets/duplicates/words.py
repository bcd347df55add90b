"""Kinds of pairs, and what may be wrong with them."""

IDENTICAL, SAME_PICTURE, NEARLY_THE_SAME = "identical", "same_picture", "nearly_the_same"
KINDS = (IDENTICAL, SAME_PICTURE, NEARLY_THE_SAME)
"""Equal bytes, equal pixels, and close pictures, the surest first."""

LEAK, TWO_PRODUCTS, ANY = "leak", "two_products", "any"
FAILURES = (LEAK, TWO_PRODUCTS, ANY)
COUNTED = {LEAK: "in two splits", TWO_PRODUCTS: "of two products", ANY: "in all"}


def in_words(name: str) -> str:
    """Return a name with blanks."""
    return name.replace("_", " ")
