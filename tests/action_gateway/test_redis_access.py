"""Both services read URLs of Redis in the same way."""

from pathlib import Path

from action_gateway import redis_access
from score_service import redis_access as of_the_score_service


def test_the_grammar_is_the_one_of_the_score_service() -> None:
    ours, theirs = Path(redis_access.__file__), Path(of_the_score_service.__file__)
    assert ours.read_text(encoding="utf-8") == theirs.read_text(encoding="utf-8")
