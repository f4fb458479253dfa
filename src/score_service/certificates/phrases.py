"""Numbers, times and foreign names as they stand in sentences for people. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

_MINUTES_MAX: Final = 120
_HOURS_MAX: Final = 48


def number(count: int, noun: str, plural: str = "") -> str:
    """Write how many there are of something, with its plural where that is not the noun and an s."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {plural or noun + 's'}"


def moment(time: datetime) -> str:
    """Write when something is, to the minute."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def span(length: timedelta) -> str:
    """Write how long something takes: in days, and if there are few of them in hours or minutes."""
    minutes = int(length / timedelta(minutes=1))
    if minutes < _MINUTES_MAX:
        return number(minutes, "minute")
    hours = minutes // 60
    return number(hours, "hour") if hours < _HOURS_MAX else number(length.days, "day")


def plain(text: str) -> str:
    """Keep what others wrote from steering a terminal."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def listed(words: Iterable[str]) -> str:
    """Write several things as a list."""
    return ", ".join(map(plain, words))
