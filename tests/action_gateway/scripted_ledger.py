"""A score service that keeps its ledger in memory, behind a real gRPC server: for what moderators do."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import grpc

from conformance.server.scripted import Context, ScriptedServer, make_status
from score_api.v1 import correction_service_pb2 as corrections
from score_api.v1 import leaderboard_service_pb2 as leaderboards
from score_api.v1 import ledger_service_pb2 as ledger
from score_api.v1 import types_pb2

GATEWAY = "spiffe://laurel.local/action-gateway"
STEP = 2
"""Awards that an apply takes back at a time."""


@dataclass
class ScriptedLedger:
    """The awards of one board, who is hidden on it, and the methods that the policy does not allow."""

    board_id: str = "main"
    awards: list[ledger.RecordedAward] = field(default_factory=list)
    hidden: dict[str, Any] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    stale: bool = False
    archived_revision: int = 0
    asked: list[Any] = field(default_factory=list)
    """The changes that were asked for."""

    def award(self, user_id: str, points: int, action_id: str = "quick") -> ledger.RecordedAward:
        """Give points."""
        number = len(self.awards) + 1
        recorded = ledger.RecordedAward(
            award_id=f"00000000-0000-4000-8000-{number:012}",
            revision=number,
            user_id=user_id,
            points=points,
            total=self.total(user_id) + points,
            action_type="puzzle",
            action_id=action_id,
            caller=GATEWAY,
            periods=["day:2026-11-30"],
        )
        recorded.recorded_at.FromDatetime(datetime(2026, 11, 30, 12, number % 60, tzinfo=UTC))
        self.awards.append(recorded)
        return recorded

    def total(self, user_id: str) -> int:
        """Return the points of a user that stand."""
        return sum(
            one.points for one in self.awards if one.user_id == user_id and not one.HasField("reversal")
        )

    def serve_by(self, server: ScriptedServer) -> None:
        """Let a server answer with this."""
        for method in (
            self.list_awards,
            self.reverse_award,
            self.reverse_awards,
            self.set_user_visibility,
            self.batch_get_standings,
            self.list_standings_around,
            self.list_standings,
            self.list_periods,
        ):
            server.script("".join(word.title() for word in method.__name__.split("_")), method)
        server.script("WatchLeaderboard", self.watch_leaderboard)

    async def list_awards(self, request: Any, context: Context) -> ledger.ListAwardsResponse:
        await self._check("ListAwards", request, context)
        kept = reversed(self.awards[self.archived_revision :])
        chosen = [one for one in kept if request.user_id in {"", one.user_id}]
        start, size = int(request.page_token or 0), request.page_size or 50
        following = str(start + size) if start + size < len(chosen) else ""
        return ledger.ListAwardsResponse(
            awards=chosen[start : start + size],
            next_page_token=following,
            archived_revision=self.archived_revision,
        )

    async def reverse_award(self, request: Any, context: Context) -> corrections.ReverseAwardResponse:
        await self._check("ReverseAward", request, context)
        self.asked.append(request)
        found = next((one for one in self.awards if one.award_id == request.award_id), None)
        if found is None:
            await context.abort_with_status(make_status(grpc.StatusCode.NOT_FOUND, "AWARD_NOT_FOUND"))
            raise AssertionError
        replayed = found.HasField("reversal")
        if not replayed and found.revision <= self.archived_revision:
            await context.abort_with_status(make_status(grpc.StatusCode.OUT_OF_RANGE, "HISTORY_ARCHIVED"))
        if replayed and found.reversal.reversal_id != request.reversal_id:
            await context.abort_with_status(make_status(grpc.StatusCode.ALREADY_EXISTS, "AWARD_REVERSED"))
        if not replayed:
            self._reverse(found, request)
        rank = self._rank(found.user_id)
        return corrections.ReverseAwardResponse(reversal=found.reversal, rank=rank, replayed=replayed)

    async def reverse_awards(self, request: Any, context: Context) -> corrections.ReverseAwardsResponse:
        await self._check("ReverseAwards", request, context)
        chosen = [one for one in self.awards if self._selects(request.filter, one)]
        left = [one for one in chosen if not one.HasField("reversal")]
        if request.validate_only:
            moves = [self._move(user_id, left) for user_id in sorted({one.user_id for one in left})]
            return corrections.ReverseAwardsResponse(
                awards=len(left),
                points=sum(one.points for one in left),
                users=len(moves),
                moves=moves,
                plan_token=f"plan of {len(left)}",
                revision=len(self.awards),
            )
        if self.stale:
            await context.abort_with_status(make_status(grpc.StatusCode.FAILED_PRECONDITION, "PLAN_STALE"))
        self.asked.append(request)
        awards = int(request.plan_token.rpartition(" ")[2])
        for one in left[:STEP]:
            self._reverse(one, request)
        done = awards - max(0, len(left) - STEP)
        return corrections.ReverseAwardsResponse(awards=awards, reversed=done)

    async def set_user_visibility(
        self, request: Any, context: Context
    ) -> corrections.SetUserVisibilityResponse:
        await self._check("SetUserVisibility", request, context)
        if not any(one.user_id == request.user_id for one in self.awards):
            await context.abort_with_status(make_status(grpc.StatusCode.NOT_FOUND, "STANDING_NOT_FOUND"))
        self.asked.append(request)
        before = self.hidden.get(request.user_id, corrections.VISIBILITY_VISIBLE)
        self.hidden[request.user_id] = request.visibility
        return corrections.SetUserVisibilityResponse(
            visibility=request.visibility, before=before, revision=len(self.awards) + 1, position="1-00"
        )

    async def batch_get_standings(
        self, request: Any, context: Context
    ) -> leaderboards.BatchGetStandingsResponse:
        await self._check("BatchGetStandings", request, context)
        standings = [self._standing(one) for one in request.user_ids if self.total(one)]
        return leaderboards.BatchGetStandingsResponse(standings=standings, revision=len(self.awards))

    async def list_standings(self, request: Any, context: Context) -> leaderboards.ListStandingsResponse:
        await self._check("ListStandings", request, context)
        if request.period not in {"", "all_time"}:
            await context.abort_with_status(make_status(grpc.StatusCode.NOT_FOUND, "PERIOD_UNKNOWN"))
        return leaderboards.ListStandingsResponse(standings=self._top(), revision=len(self.awards))

    async def list_standings_around(
        self, request: Any, context: Context
    ) -> leaderboards.ListStandingsAroundResponse:
        await context.abort_with_status(make_status(grpc.StatusCode.NOT_FOUND, "STANDING_NOT_FOUND"))
        raise AssertionError

    async def list_periods(self, request: Any, context: Context) -> Any:
        await context.abort_with_status(make_status(grpc.StatusCode.UNIMPLEMENTED))

    async def watch_leaderboard(self, request: Any, context: Context) -> Any:
        snapshot = leaderboards.Snapshot(top=self._top())
        yield leaderboards.WatchLeaderboardResponse(
            snapshot=snapshot, revision=len(self.awards), position="1-00"
        )
        await asyncio.Event().wait()

    async def _check(self, method: str, request: Any, context: Context) -> None:
        if method in self.denied:
            await context.abort_with_status(make_status(grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED"))
        if request.board_id != self.board_id:
            await context.abort_with_status(make_status(grpc.StatusCode.NOT_FOUND, "BOARD_NOT_FOUND"))

    def _reverse(self, award: ledger.RecordedAward, request: Any) -> None:
        reversal = types_pb2.Reversal(
            reversal_id=getattr(request, "reversal_id", "") or award.award_id,
            award_id=award.award_id,
            award_revision=award.revision,
            user_id=award.user_id,
            points=award.points,
            total=self.total(award.user_id) - award.points,
            revision=len(self.awards) + 1,
            reason=request.reason,
            actor=GATEWAY,
            on_behalf_of=request.on_behalf_of,
        )
        reversal.recorded_at.FromDatetime(datetime(2026, 11, 30, 13, tzinfo=UTC))
        award.reversal.CopyFrom(reversal)

    def _selects(self, chosen: Any, award: ledger.RecordedAward) -> bool:
        return (
            chosen.user_id in {"", award.user_id}
            and chosen.action_id in {"", award.action_id}
            and chosen.action_type in {"", award.action_type}
            and chosen.caller in {"", award.caller}
        )

    def _move(self, user_id: str, left: list[ledger.RecordedAward]) -> corrections.RankMove:
        taken = sum(one.points for one in left if one.user_id == user_id)
        after = self.total(user_id) - taken
        return corrections.RankMove(
            user_id=user_id,
            total_before=self.total(user_id),
            total_after=after,
            rank_before=self._rank(user_id),
            rank_after=1 if after else None,
        )

    def _top(self) -> list[types_pb2.Standing]:
        users = sorted(
            {one.user_id for one in self.awards if one.user_id not in self.hidden}, key=self._rank_key
        )
        return [self._standing(one) for one in users if self.total(one)]

    def _rank_key(self, user_id: str) -> int:
        return -self.total(user_id)

    def _rank(self, user_id: str) -> int | None:
        if not self.total(user_id):
            return None
        better = {one.user_id for one in self.awards if self.total(one.user_id) > self.total(user_id)}
        return 1 + len(better)

    def _standing(self, user_id: str) -> types_pb2.Standing:
        how = self.hidden.get(user_id, corrections.VISIBILITY_VISIBLE)
        return types_pb2.Standing(
            user_id=user_id,
            total=self.total(user_id),
            rank=None if how == corrections.VISIBILITY_HIDDEN else self._rank(user_id),
            reached_revision=1,
            hidden=how != corrections.VISIBILITY_VISIBLE,
        )
