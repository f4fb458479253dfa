"""The settings of a board as JSON, as the ledger and the record hold them. Pure.

The text is canonical, because the ledger's digest covers it: compact, with sorted keys and ASCII alone.
Instants are microseconds since 1970.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Final

from score_service.domain.board.board_settings import BoardSettings, LatePolicy, Season
from score_service.domain.board.period import from_micros, to_micros

_FIELDS: Final = {field.name for field in fields(BoardSettings)}


def write_settings(settings: BoardSettings) -> str:
    """Write settings as canonical JSON."""
    return json.dumps(asdict(settings), separators=(",", ":"), sort_keys=True, default=_write_value)


def read_settings(document: Mapping[str, Any]) -> BoardSettings:
    """Read settings from what `write_settings` wrote, parsed. What is missing has its default.

    Raises:
        ValueError: it has a setting that this version does not know, and without which periods would differ.
    """
    if unknown := document.keys() - _FIELDS:
        raise ValueError(f"settings of a later version: {', '.join(sorted(unknown))}")
    given = dict(document)
    if "late" in given:
        given["late"] = LatePolicy(given["late"])
    given["periods"] = tuple(given.get("periods", ()))
    given["seasons"] = tuple(_read_season(season) for season in given.get("seasons", ()))
    return BoardSettings(**given)


def _read_season(season: Mapping[str, Any]) -> Season:
    instants = {name: from_micros(season[name]) for name in ("starts_at", "ends_at")}
    return Season(**{**season, **instants})


def _write_value(value: object) -> object:
    if isinstance(value, LatePolicy):
        return value.value
    if isinstance(value, datetime):
        return to_micros(value)
    raise TypeError(f"{type(value).__name__} is no setting")
