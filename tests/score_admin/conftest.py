"""The command against a server that answers as a test scripts it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner, Result

from conformance.server.scripted import ScriptedServer
from local_stack.certificates import CertificateFiles
from score_admin.commands import main

Run: TypeAlias = Callable[..., Awaitable[Result]]


@pytest.fixture
async def server(server_certificate: CertificateFiles) -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer(server_certificate) as server:
        yield server


@pytest.fixture
def run(server: ScriptedServer, backend_certificate: CertificateFiles) -> Run:
    """Return what runs the command with these arguments, for `mo`."""
    files = backend_certificate
    options = [
        f"--target={server.target}",
        f"--ca={files.ca_file}",
        f"--certificate={files.certificate_file}",
        f"--key={files.key_file}",
        "--on-behalf-of=mo",
        "--timeout=30",
    ]

    async def run(*arguments: str, **settings: Any) -> Result:
        # It has a loop of its own, and the server has this one.
        invoke = CliRunner().invoke
        return await asyncio.to_thread(invoke, main, [*options, *arguments], **settings)

    return run
