"""Changes the settings of boards: says what would change and what cannot, then does all of it or none.

Settings are checked against the periods that are stored. If a period opens meanwhile, or someone else changes
the settings, nothing is written, and all is looked at again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from score_service.domain.board.board_settings import BoardSettings
from score_service.errors import OverloadedError
from score_service.periods.settings_change import (
    SettingChange,
    SettingsPatch,
    find_conflicts,
    list_changes,
)
from score_service.periods.settings_rules import SettingsFault, find_faults, put_in_order
from score_service.record.boards import BoardStore, DefaultSettings, SettingsDraft, StoredBoard
from score_service.record.periods import PeriodStore

_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class SettingsPlan:
    """What a change of the settings of one board, or of the default, would do."""

    after: BoardSettings
    """In order, unless there are faults."""
    changes: tuple[SettingChange, ...]
    """None where there are faults, or all is so already."""
    faults: tuple[SettingsFault, ...]
    board: StoredBoard | None = None
    """The board as it is; None for one that is made, and for the default."""


@dataclass(frozen=True, slots=True)
class BoardsPlan:
    """What a change of many boards would do."""

    default: SettingsPlan | None
    """None where nothing is asked of it."""
    default_version: int
    """Of the default as it is."""
    boards: Mapping[str, SettingsPlan]
    """By board id."""

    @property
    def has_faults(self) -> bool:
        """Return whether anything of it cannot be."""
        return any(plan.faults for plan in (*self.boards.values(), *filter(None, [self.default])))

    @property
    def new_default(self) -> DefaultSettings | None:
        """The default that is to be written; None where it stays."""
        if self.default is None or not self.default.changes:
            return None
        return DefaultSettings(self.default_version + 1, self.default.after)

    @property
    def drafts(self) -> list[SettingsDraft]:
        """The settings of boards that are to be written."""
        return [
            self._draft(board_id, plan)
            for board_id, plan in self.boards.items()
            if plan.board is None or plan.changes
        ]

    def _draft(self, board_id: str, plan: SettingsPlan) -> SettingsDraft:
        if plan.board is None:
            return SettingsDraft(board_id, plan.after, -self.default_version, 0)
        return SettingsDraft(board_id, plan.after, plan.board.settings_revision, plan.board.opened_periods)


class BoardEditor:
    """The settings of all boards. Every method raises `RecordUnavailableError`."""

    def __init__(
        self,
        boards: BoardStore,
        periods: PeriodStore,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._boards = boards
        self._periods = periods
        self._now = now

    async def plan(
        self, boards: Mapping[str, SettingsPatch], default: SettingsPatch | None = None
    ) -> BoardsPlan:
        """Look at what a change would do.

        Args:
            boards: what to set, by board id. A board that there is not begins with the default as it will be.
            default: what to set of the default; None to leave it.
        """
        found = await self._boards.find_default()
        default_plan = self._plan_default(found.settings, default) if default is not None else None
        base = default_plan.after if default_plan is not None else found.settings
        plans = {
            board_id: await self._plan_board(board_id, patch, base) for board_id, patch in boards.items()
        }
        return BoardsPlan(default_plan, found.version, plans)

    async def apply(
        self,
        boards: Mapping[str, SettingsPatch],
        default: SettingsPatch | None = None,
        *,
        actor: str,
        request_id: str | None = None,
        trace_id: str = "",
    ) -> BoardsPlan:
        """Make a change: all of it, or nothing if the plan that is returned has faults.

        Args:
            boards: as for `plan`.
            default: as for `plan`.
            actor: who does so.
            request_id: the UUID of the call, if it has one.
            trace_id: 32 hex digits, or empty.

        Raises:
            OverloadedError: others change the same boards all the time.
            RecordUnavailableError: PostgreSQL is unavailable. Whether the change was made is unknown.
        """
        for _ in range(_TRIES):
            plan = await self.plan(boards, default)
            if plan.has_faults or not (plan.drafts or plan.new_default):
                return plan
            if await self._boards.apply_settings(
                plan.drafts, plan.new_default, actor=actor, request_id=request_id, trace_id=trace_id
            ):
                return plan
        raise OverloadedError

    async def _plan_board(self, board_id: str, patch: SettingsPatch, base: BoardSettings) -> SettingsPlan:
        board = await self._boards.find(board_id)
        before = board.settings if board is not None else base
        after = patch.apply(before)
        if faults := find_faults(after):
            return SettingsPlan(after, (), tuple(faults), board)
        ids = [f"season:{season.season_id}" for season in set(after.seasons) - set(before.seasons)]
        # Read after the board: what opens in between is seen here, or makes the draft stale.
        stored = await self._periods.list_recent(board_id, ids) if board is not None else []
        if conflicts := find_conflicts(before, after, stored):
            return SettingsPlan(after, (), tuple(conflicts), board)
        after = put_in_order(after)
        return SettingsPlan(after, tuple(list_changes(before, after, stored, self._now())), (), board)

    def _plan_default(self, before: BoardSettings, patch: SettingsPatch) -> SettingsPlan:
        after = patch.apply(before)
        if faults := find_faults(after):
            return SettingsPlan(after, (), tuple(faults))
        after = put_in_order(after)
        return SettingsPlan(after, tuple(list_changes(before, after, (), self._now())), ())
