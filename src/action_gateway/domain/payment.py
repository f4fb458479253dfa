"""What an action pays, and what it brought: the same in the answer to it and in the errors that repeat it."""

import uuid
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class Due:
    """Points that are to be paid."""

    board_id: str
    award_id: uuid.UUID
    user_id: str
    points: int
    action_type: str
    action_id: str


@dataclass(frozen=True, slots=True)
class EarlierPayment:
    """Points that were given before."""

    outcome: "Payment | None"
    """What they brought; None where the award is archived, so that no more is known of it."""


class Payment(BaseModel):
    """The points of a completed action."""

    model_config = ConfigDict(frozen=True)

    points: int = Field(serialization_alias="pointsEarned")
    total: int = Field(
        serialization_alias="newTotalScore", description="the user's total right after these points"
    )
    rank: int | None = Field(
        serialization_alias="newRank", description="1 for the best; null where it is not known"
    )
