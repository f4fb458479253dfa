"""The statements of the relay's store, one operation a file, loaded by name."""

from typing import Final

from service_runtime.postgres.statements import make_loader

load_statement: Final = make_loader(__name__)
