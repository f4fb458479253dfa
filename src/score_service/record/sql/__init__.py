"""The statements of the record, one operation a file, loaded by name."""

from typing import Final

from service_runtime.postgres.statements import make_loader

load_statement: Final = make_loader(__name__)
