"""Rejections that are explained, and errors that are none."""

import pytest
from redis.exceptions import (
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from service_runtime.redis.rejections import explain_rejection


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ReadOnlyError("You can't write against a read only replica."), "rejects writes: it is a replica"),
        (OutOfMemoryError("command not allowed"), "rejects writes: maxmemory is reached"),
        (
            NoPermissionError("No permissions to access a key"),
            "rejects a script: its access list does not allow it",
        ),
        (
            # Redis 7.0, of a command inside a script.
            ResponseError("The user executing the script can't run this command or subcommand script: 05…"),
            "rejects a script: its access list does not allow it",
        ),
        (
            # Valkey and later Redis, likewise.
            ResponseError("ACL failure in script: User default has no permissions to run the 'set' command"),
            "rejects a script: its access list does not allow it",
        ),
        (
            ResponseError("NOREPLICAS Not enough good replicas to write."),
            "rejects writes: fewer replicas follow it than min-replicas-to-write",
        ),
        (
            ResponseError("MISCONF Errors writing to the AOF file"),
            "rejects writes: it could not save to its disk",
        ),
    ],
)
def test_a_rejection_is_explained(error: ResponseError, reason: str) -> None:
    assert explain_rejection(error) == reason


@pytest.mark.parametrize(
    "error", [None, RedisError("gone"), TimeoutError(), ClusterDownError("down"), ResponseError("ERR no")]
)
def test_other_errors_are_not(error: BaseException | None) -> None:
    assert explain_rejection(error) is None
