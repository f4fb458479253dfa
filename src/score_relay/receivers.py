"""The file of receivers: who is sent what, and how. One with faults is rejected whole, with all of them."""

import ssl
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FilePath, ValidationError, field_validator

from score_client import EntryKind
from service_runtime.errors import SetupError
from service_runtime.toml_files import describe_faults, parse_toml

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_RECEIVERS_MAX: Final = 100
_BOARDS_MAX: Final = 1_000
"""Of all receivers: each is a stream of the score service."""


class Start(StrEnum):
    """Where a receiver begins that was sent nothing yet."""

    BEGINNING = "beginning"
    NOW = "now"


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("must be a URL like https://example.org/hooks/laurel")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ValueError("must have no user, password or fragment")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("must be https, except on this machine")
    return url


def _check_authorities(file: Path) -> Path:
    try:
        ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError):
        raise ValueError("must be certificates, PEM") from None
    return file


Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:@-]{1,128}$")]
Seconds = Annotated[float, Field(gt=0, le=3_600, allow_inf_nan=False)]


class Receiver(BaseModel):
    """A receiver of webhooks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    """Names it in the store, in metrics and in logs, for ever."""
    url: Annotated[str, Field(max_length=2_000), AfterValidator(_check_url)] = Field(repr=False)
    """Not shown: paths of webhooks may be secrets."""
    boards: Annotated[tuple[Identifier, ...], Field(min_length=1, max_length=_BOARDS_MAX)]
    kinds: tuple[EntryKind, ...] = ()
    """Entries of these kinds alone; none for all."""
    secret_files: Annotated[tuple[FilePath, ...], Field(min_length=1, max_length=2)]
    """Each event is signed with all of them, so that one can take the place of the other."""
    ca_file: Annotated[FilePath, AfterValidator(_check_authorities)] | None = None
    """Authorities to trust instead of those of the system."""
    start: Start = Start.BEGINNING
    timeout_seconds: Seconds = 10
    """For one attempt, from the connection to the status."""
    retry_max_seconds: Seconds = 300
    """Between two attempts, at most."""
    give_up_seconds: Annotated[float, Field(gt=0, le=30 * 86_400, allow_inf_nan=False)] = 3 * 86_400
    """From the first attempt to the last; the event is a dead letter then."""

    @field_validator("boards", "kinds")
    @classmethod
    def _is_once(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(values)) < len(values):
            raise ValueError("must name each once")
        return values


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    receiver: Annotated[list[Receiver], Field(min_length=1, max_length=_RECEIVERS_MAX)]

    @field_validator("receiver")
    @classmethod
    def _names_differ(cls, receivers: list[Receiver]) -> list[Receiver]:
        if twice := _find_twice(receiver.name for receiver in receivers):
            raise ValueError(f"names {', '.join(twice)} more than once")
        if sum(len(receiver.boards) for receiver in receivers) > _BOARDS_MAX:
            raise ValueError(f"has more than {_BOARDS_MAX} boards in all")
        return receivers


def load_receivers(path: Path) -> tuple[Receiver, ...]:
    """Read a file of receivers.

    Raises:
        SetupError: it has faults.
    """
    try:
        return tuple(_File.model_validate(parse_toml(path.read_text(encoding="utf-8"))).receiver)
    except (OSError, UnicodeDecodeError):
        raise SetupError([f"{path}: cannot be read"]) from None
    except SetupError as error:
        raise SetupError([f"{path}: {fault}" for fault in error.faults]) from None
    except ValidationError as error:
        raise SetupError([f"{path}: {fault}" for fault in describe_faults(error)]) from None


def _find_twice(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
