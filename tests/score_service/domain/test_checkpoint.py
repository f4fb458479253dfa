"""A checkpoint is read as it was written, and nothing else is taken for one."""

import pytest

from score_service.domain.checkpoint import Checkpoint
from score_service.domain.position import Position

START, LATER = Position.start("main"), Position(7, "7" * 16)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint.begin(START),
        Checkpoint(START, LATER, 2_500, may_overlap=False, last_user_id="ada"),
        Checkpoint(LATER, LATER, 10**9, may_overlap=True, last_user_id="a:b@c.d_e-f"),
    ],
)
def test_checkpoint_is_read_as_it_was_written(checkpoint: Checkpoint) -> None:
    assert Checkpoint.parse(str(checkpoint)) == checkpoint


@pytest.mark.parametrize(
    "text", ["", "7", f"{START} {LATER} 1 0", f"x {LATER} 1 0 ada", f"{START} {LATER} -1 0 ada", "a b 1 2 c"]
)
def test_other_text_is_no_checkpoint(text: str) -> None:
    assert Checkpoint.parse(text) is None
