"""Awards that were taken back, as moderators see them."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from score_client.types import Reversal


class ShownReversal(BaseModel):
    """An award that was taken back."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True)

    reversal_id: UUID
    award_id: UUID
    points: int = Field(description="the points taken back")
    total: int = Field(description="the score right after it")
    revision: int = Field(description="its number in the ledger of the board")
    reason: str
    actor: str = Field(description="the SPIFFE id of the service that asked for it")
    on_behalf_of: str = Field(
        description="for whom it did so: the userId of a moderator; empty if for itself"
    )
    recorded_at: datetime
    final_periods: tuple[str, ...] = Field(
        description="the periods whose result was final by then, and has the award still"
    )

    @classmethod
    def of(cls, reversal: Reversal) -> Self:
        """Take a reversal of the score service."""
        return cls.model_validate(reversal, from_attributes=True)
