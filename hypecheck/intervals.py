"""Intervals of shares."""

from __future__ import annotations

import math


def wilson(k: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """Give Wilson's 95 % interval of ``k`` successes in ``n`` (Wilson 1927).

    Of a weighted share: ``n`` is the effective sample size, and ``k`` the share of it.
    """
    if n <= 0:
        return 0.0, 1.0
    p = k / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)
