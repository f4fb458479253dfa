"""Who may moderate: looked up at each call, so that a revocation takes effect at once."""

from action_gateway.errors import ModeratorOnlyError
from action_gateway.limits.limits import Limits
from action_gateway.store.roles import Role, Roles


class Moderators:
    """The users who may moderate."""

    def __init__(self, roles: Roles, limits: Limits) -> None:
        self._roles = roles
        self._limits = limits

    async def admit(self, user_id: str) -> None:
        """Let a user make a call as a moderator.

        Raises:
            ModeratorOnlyError: the user has not got the role.
            RateLimitedError: too many calls.
        """
        if not await self._roles.has(user_id, Role.MODERATOR):
            raise ModeratorOnlyError
        await self._limits.moderate(user_id)
