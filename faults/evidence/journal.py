"""Writes a history to a folder, for people to read: a file for each kind of event, one JSON object a line."""

import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from faults.model.history import Event, History


def write_journal(history: History, folder: Path) -> None:
    """Write all events, each kind in the order in which they ended. The folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds: dict[type[Event], list[Event]] = {}
    for event in history.events:
        kinds.setdefault(type(event), []).append(event)
    for kind, events in kinds.items():
        _write(folder / f"{kind.__name__.lower()}.jsonl", events)


def _write(path: Path, events: Iterable[Event]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for event in events:
            file.write(json.dumps(_plain(event), ensure_ascii=False, separators=(",", ":")) + "\n")


def _plain(event: Event) -> dict[str, Any]:
    """Turn an event into what JSON knows; what is missing is left out."""
    named = {field.name: getattr(event, field.name) for field in fields(event)}
    return {name: _tuple(value) for name, value in named.items() if value not in {None, "", ()}}


def _tuple(value: Any) -> Any:
    return value._asdict() if hasattr(value, "_asdict") else value
