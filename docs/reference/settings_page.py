"""Writes the table of all settings to standard output: `make docs` keeps it as `settings.md`."""

import sys
from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic.types import PathType
from pydantic_settings import BaseSettings

import action_gateway.settings as gateway
import score_relay.settings as relay
import score_service.settings as score
from service_runtime.settings import variable

SERVICES: Final[Mapping[str, Mapping[str, type[BaseSettings]]]] = {
    "score-service": {
        "serve": score.ServeSettings,
        "migrate": score.MigrateSettings,
        "verify": score.StoreSettings,
        "rebuild": score.StoreSettings,
        "boards apply": score.RecordSettings,
        "ledger export": score.RecordSettings,
        "ledger verify": score.RecordSettings,
        "ledger archive": score.ArchiveSettings,
        "certs check": score.CertificateSettings,
    },
    "action-gateway": {
        "serve": gateway.ServeSettings,
        "migrate": gateway.OwnerSettings,
        "load-actions": gateway.OwnerSettings,
        "add-user": gateway.DatabaseSettings,
        "delete-user": gateway.DatabaseSettings,
        "grant": gateway.OwnerSettings,
        "revoke": gateway.OwnerSettings,
        "ticket-keys": gateway.LogSettings,
    },
    "score-relay": {"serve": relay.ServeSettings, "migrate": relay.MigrateSettings},
}
"""The settings that each command reads, by service."""

_WORDS: Final = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "`true` or `false`",
    "Path": "path",
    "SecretStr": "file",
    "Address": "`HOST:PORT`",
    "RedisUrl": "URL",
}
_BOUNDS: Final = {
    "gt": ", above {:,}",
    "ge": ", at least {:,}",
    "le": ", at most {:,}",
    "min_length": ", at least {} character",
    "max_length": ", at most {} characters",
    "pattern": ", `{}`",
}
_PATHS: Final = {"file": "file", "dir": "folder", "new": "path"}
_COLUMNS: Final = "| variable | type | default | commands | meaning |\n| --- | --- | --- | --- | --- |"
_HEAD: Final = """\
# Settings

All settings of the services and the relay are environment variables. An empty variable counts as not set.
All faults are reported together, and the service exits with code 2. Passwords are never settings
themselves: a variable that ends in `PASSWORD_FILE` names a file that contains one. `--help` of a command
lists the settings it reads.

How PostgreSQL and Redis are reached is explained in
[PostgreSQL](../operations/postgresql.md#the-connection-string) and [Redis](../operations/redis.md#urls),
what the bounds mean in [performance](../performance.md#overload). Traces are set up by [OpenTelemetry's own
variables](../observability.md#traces).

This page is generated from the settings classes: `make docs` writes it.
"""


def write_page() -> str:
    """Return the page in Markdown."""
    return "\n".join([_HEAD, *(_section(service) for service in SERVICES)])


def _section(service: str) -> str:
    rows = "\n".join(_rows(service))
    return f"## {service}\n\n{_COLUMNS}\n{rows}\n"


def _rows(service: str) -> Iterator[str]:
    """Return a row for each setting, in the order of the classes, with the commands that read it."""
    commands = SERVICES[service]
    fields = {name: (kind, field) for kind in commands.values() for name, field in kind.model_fields.items()}
    for name, (kind, field) in fields.items():
        readers = [f"`{command}`" for command, read in commands.items() if name in read.model_fields]
        cells = [
            f"`{variable(kind, name)}`",
            describe_type(field.annotation, field.metadata),
            _describe_default(field),
            "all" if len(readers) == len(commands) else ", ".join(readers),
            field.description or "",
        ]
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def describe_type(annotation: Any, metadata: list[Any]) -> str:
    """Return what values a field takes, with their range, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return describe_type(arguments[0], _flatten(arguments[1:]))
    if origin is Literal:
        return ", ".join(f"`{argument}`" for argument in arguments)
    if origin in {Union, UnionType}:
        kinds = [describe_type(one, metadata) for one in arguments if one is not NoneType]
        return ", or ".join(kinds)
    if origin is tuple:
        return "list, comma-separated"
    word = next((_PATHS[one.path_type] for one in metadata if isinstance(one, PathType)), "")
    return (word or _WORDS[annotation.__name__]) + _describe_range(metadata)


def _flatten(metadata: tuple[Any, ...]) -> list[Any]:
    """Return what stands in a `Field` like what stands beside it."""
    return [part for one in metadata for part in (one.metadata if isinstance(one, FieldInfo) else [one])]


def _describe_range(metadata: list[Any]) -> str:
    bounds = {name: getattr(one, name) for one in metadata for name in _BOUNDS if hasattr(one, name)}
    if "gt" in bounds:
        bounds.pop("ge", None)
    if "ge" in bounds and "le" in bounds:
        return f", {bounds['ge']:,} to {bounds['le']:,}"
    return "".join(text.format(bounds[name]) for name, text in _BOUNDS.items() if name in bounds)


def _describe_default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if field.default is None or field.default == ():
        return ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


if __name__ == "__main__":
    sys.stdout.write(write_page())
