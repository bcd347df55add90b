"""How a count is cut into equal runs."""


def largest_divisor(number: int, limit: int) -> int:
    """Returns the largest divisor of a positive number that is no larger than the limit, or 1."""
    return max(divisor for divisor in range(1, max(limit, 1) + 1) if number % divisor == 0)
