"""The catalog of actions: a TOML file, checked as a whole and put in force as a whole.

Actions that are not in the file any more are not offered any more. Tokens that are out stay good, because
every edition of an action stays in the database with its answers.
"""

import json
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Self

import psycopg
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from action_gateway.domain.action import ActionId, Kind, Repeat
from action_gateway.domain.answer_form import fold
from action_gateway.domain.number import MAX_DIGITS, MAX_MAGNITUDE, is_bounded
from action_gateway.store.sql import load_statement
from service_runtime.errors import SetupError
from service_runtime.postgres.conninfo import complete_conninfo

_LINE_FORBIDS: Final = frozenset(map(chr, (*range(0x20), 0x7F)))
_OF_PUZZLES: Final = frozenset({"answer", "answers", "numeric", "min_seconds"})
_NUMBER_LIKE: Final = frozenset("0123456789+-.,")


def _check_bounds(number: Decimal) -> Decimal:
    if not is_bounded(number):
        raise ValueError(f"must have at most {MAX_DIGITS} digits, and none beyond 10^±{MAX_MAGNITUDE}")
    return number


def _check_unit(unit: str) -> str:
    folded = fold(unit)
    if not folded or folded[0] in _NUMBER_LIKE:
        raise ValueError("must be visible, and not begin like a number")
    return unit


def _check_line(text: str) -> str:
    if not _LINE_FORBIDS.isdisjoint(text):
        raise ValueError("must be one line, without control characters such as tabs and line breaks")
    return text


def _check_text(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain the character NUL")
    return text


Line = AfterValidator(_check_line)
Answer = Annotated[str, Field(min_length=1, max_length=1000), Line]
Exact = Annotated[Decimal, Field(allow_inf_nan=False), AfterValidator(_check_bounds)]
Unit = Annotated[str, Field(min_length=1, max_length=32), Line, AfterValidator(_check_unit)]


class NumericAnswer(BaseModel):
    """A number as the answer. Without a tolerance it is right exactly."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    value: Exact
    tolerance: Annotated[Exact, Field(ge=0)] | None = None
    relative_tolerance: Annotated[Exact, Field(ge=0, lt=1)] | None = None
    units: Annotated[list[Unit], Field(max_length=100)] = []

    @model_validator(mode="after")
    def _has_one_tolerance(self) -> Self:
        if self.tolerance is not None and self.relative_tolerance is not None:
            raise ValueError("has either `tolerance` or `relative_tolerance`")
        return self


class CatalogAction(BaseModel):
    """An action as the file describes it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    action_id: ActionId
    kind: Kind = Kind.PUZZLE
    title: Annotated[str, Field(min_length=1, max_length=200), Line]
    prompt: Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_check_text)]
    answer: Answer | None = None
    answers: Annotated[list[Answer], Field(max_length=100)] = []
    numeric: NumericAnswer | None = None
    points: Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
    repeat: Repeat
    min_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] | None = None
    per_minute: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] | None = None
    board_id: ActionId | None = None

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind is Kind.INSTANT:
            if self.per_minute is None:
                raise ValueError("is instant, and needs `per_minute`")
            if self.model_fields_set & _OF_PUZZLES:
                raise ValueError("is instant, and has neither an answer nor `min_seconds`")
            return self
        if self.min_seconds is None:
            raise ValueError("needs `min_seconds`")
        if self.per_minute is not None:
            raise ValueError("is a puzzle, and has no `per_minute`")
        if [self.answer is None, not self.answers, self.numeric is None].count(False) != 1:
            raise ValueError("needs either `answer`, `answers` or `[action.numeric]`")
        if not all(map(fold, self.all_answers)):
            raise ValueError("has an answer of nothing but white space and invisible characters")
        return self

    @property
    def all_answers(self) -> list[str]:
        """Any of these is right. None where a number is asked for."""
        return [self.answer] if self.answer is not None else self.answers

    @property
    def all_units(self) -> list[str]:
        """Any of these may stand with the number, where one is asked for."""
        return self.numeric.units if self.numeric else []


class _Catalog(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    action: list[CatalogAction]


def read_catalog(file: Path) -> list[CatalogAction]:
    """Read a catalog. Raises SetupError with every fault, none of which quotes an answer."""
    try:
        actions = _Catalog.model_validate(_parse(file.read_text(encoding="utf-8"))).action
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError([f"{file}: cannot be read"]) from error
    except tomllib.TOMLDecodeError as error:
        raise SetupError([f"{file}: {error}"]) from error
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise SetupError(
            [f"{file}: {_locate(fault['loc'])}: {_describe(fault)}" for fault in faults]
        ) from None
    except (ValueError, RecursionError):
        raise SetupError([f"{file}: has a number too long, or is nested too deep"]) from None
    counts = Counter(action.action_id for action in actions)
    twice = [f"{file}: {action_id}: is there {n} times" for action_id, n in counts.items() if n > 1]
    if twice:
        raise SetupError(twice)
    return actions


def _parse(text: str) -> dict[str, Any]:
    # A binary fraction is not the decimal one that the author wrote.
    return tomllib.loads(text, parse_float=Decimal)


def replace_actions(dsn: str, password: str | None, actions: Sequence[CatalogAction]) -> None:
    """Offer these actions and no others, as the owner role. What is offered already stays as it is.

    Raises:
        psycopg.Error: the database is unavailable, or does not let the role do this. Nothing is changed.
    """
    wanted = json.dumps([_row(place, action) for place, action in enumerate(actions, start=1)])
    parameters = {"application_name": "action-gateway load-actions", "target_session_attrs": "read-write"}
    conninfo = complete_conninfo(dsn, password, parameters)
    # Prepared statements do not go well with poolers.
    with psycopg.connect(conninfo, prepare_threshold=None) as connection:
        connection.execute(load_statement("lock_actions"))
        connection.execute(load_statement("retire_actions"), {"actions": wanted})
        connection.execute(load_statement("add_actions"), {"actions": wanted})


def _row(place: int, action: CatalogAction) -> dict[str, object]:
    return {
        "action_id": action.action_id,
        "kind": action.kind,
        "place": place,
        "title": action.title,
        "prompt": action.prompt,
        "answers": action.all_answers,
        "number": action.numeric and _number(action.numeric),
        "points": action.points,
        "repeat": action.repeat,
        "min_ms": round((action.min_seconds or 0) * 1000),
        "per_minute": action.per_minute or 0,
        "board_id": action.board_id,
    }


def _number(numeric: NumericAnswer) -> dict[str, object]:
    return {
        "value": str(numeric.value),
        "tolerance": str(numeric.tolerance or 0),
        "relative_tolerance": str(numeric.relative_tolerance or 0),
        "units": numeric.units,
    }


def _describe(fault: Mapping[str, Any]) -> str:
    if fault["type"] == "string_pattern_mismatch":  # Only ids have a pattern.
        return "must consist of letters, digits and . _ : @ -"
    return str(fault["msg"]).removeprefix("Value error, ")


def _locate(loc: tuple[int | str, ...]) -> str:
    return " ".join(str(part + 1) if isinstance(part, int) else str(part) for part in loc)
