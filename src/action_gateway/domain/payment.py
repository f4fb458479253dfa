"""What a completed action brought: the same in the answer to it and in the errors that repeat it."""

from pydantic import BaseModel, ConfigDict, Field


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
