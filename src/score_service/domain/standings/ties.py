"""How ties are decided: of equal totals, the one that was reached at the earlier revision ranks higher. Pure.

The contract says so of `Standing.rank`, see `proto/score_api/v1/types.proto`. A total was reached at
the revision of an award, and an award has one user, so no two users with points tie in both.

Each store sorts by this rule in its own language:

- PostgreSQL: `ORDER BY total DESC, reached_revision` in the statements of `record/sql`.
- Redis: a sorted set orders equal scores by member (https://redis.io/docs/latest/develop/data-types/sorted-sets/).
  Scores are totals, and `member_of` in `projection/lua/board.lua` writes members that sort by this rule.
- Python: `rank_key`.
"""

from typing import Final

MEMBER_DIGITS: Final = 16
"""Digits before the user id in a member of a sorted set."""
MEMBER_ORIGIN: Final = 2**53 - 1
"""Those digits are how far the reached revision is from this one. Numbers of Lua are exact up to it."""


def rank_key(total: int, reached_revision: int) -> tuple[int, int]:
    """Return what standings are sorted by, the best first.

    Args:
        total: Of a user with points.
        reached_revision: At which the user reached it.
    """
    return -total, reached_revision
