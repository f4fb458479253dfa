"""Rebuilds that a test holds back."""

import asyncio
from typing import Any

import pytest

from score_service.reconcile.rebuild.rebuilder import Rebuilder


class RebuildGate:
    """Holds rebuilds back until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waiting: list[str] = []
        self.opened = asyncio.Event()
        self._rebuild = Rebuilder.rebuild
        gate = self

        async def rebuild(rebuilder: Rebuilder, board_id: str) -> Any:
            gate.waiting.append(board_id)
            await gate.opened.wait()
            return await gate._rebuild(rebuilder, board_id)

        monkeypatch.setattr(Rebuilder, "rebuild", rebuild)
