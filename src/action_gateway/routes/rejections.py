"""What operations of several kinds may be rejected with, for their descriptions."""

from typing import Final

from action_gateway import errors

BUSY: Final = (errors.RateLimitedError, errors.UnavailableError)
"""All that are counted."""
SCORING: Final = (*BUSY, errors.ScoreServiceDeniedError)
"""All that are counted and ask the score service."""
OPENING: Final = (
    errors.UnauthenticatedError,
    errors.ActionNotFoundError,
    errors.ActionCompletedError,
    *SCORING,
)
"""All that begin an action."""
