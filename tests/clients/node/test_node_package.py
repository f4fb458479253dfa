"""The package that `npm pack` makes of the client: what is in it, and that it works where it is installed."""

import asyncio
import json
import os
import re
import subprocess
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from tests.clients.node.conftest import NODE, NPM
from tests.fixtures.services.score_service import ScoreService

from local_stack.certificates import CertificateFiles

_AWARD_ID = "0b5bd0c1-6b0a-4b63-9d0b-4c7a2f0d5c11"


@pytest.fixture(scope="module")
def archive(built_client: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what `npm pack` makes."""
    folder = tmp_path_factory.mktemp("packed")
    command = [str(NODE), str(NPM), "pack", "--json", "--offline", "--pack-destination", str(folder)]
    environment = {"PATH": f"{NODE.parent}:{os.environ['PATH']}", "HOME": str(folder)}
    subprocess.run(command, cwd=built_client, env=environment, check=True, capture_output=True)
    [archive] = folder.glob("*.tgz")
    return archive


@pytest.fixture
def project(archive: Path, built_client: Path, tmp_path: Path) -> Path:
    """Return a folder with the package installed, and what it depends on beside it."""
    modules = tmp_path / "node_modules"
    modules.mkdir()
    with tarfile.open(archive) as packed:
        packed.extractall(modules, filter="data")
    (modules / "package").rename(modules / "laurel-score-client")
    for path in (built_client / "node_modules").iterdir():
        (modules / path.name).symlink_to(path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


def test_the_package_has_code_with_types_and_what_it_says_of_itself(
    archive: Path, built_client: Path
) -> None:
    with tarfile.open(archive) as packed:
        names = {name.removeprefix("package/") for name in packed.getnames()}
        described = packed.extractfile("package/package.json")
        assert described is not None
        told = json.load(described)
    sources = {path.relative_to(built_client / "src") for path in (built_client / "src").rglob("*.ts")}
    code = {f"dist/{path.with_suffix(end)}" for path in sources for end in (".js", ".d.ts")}
    assert names == code | {"package.json", "README.md"}
    assert {told["exports"]["."][key].removeprefix("./") for key in ("types", "default")} <= names
    assert told["type"] == "module"
    assert set(told["dependencies"]) == {"@bufbuild/protobuf", "@grpc/grpc-js", "uuid"}


def test_what_is_public_is_typed_without_any_type_of_the_wire(project: Path, built_client: Path) -> None:
    (project / "use.ts").write_text(
        "import { ScoreClient, UnavailableError } from 'laurel-score-client';\n"
        "import type { AwardResult, Entry } from 'laurel-score-client';\n"
        "const credentials = { caFile: 'a', certificateFile: 'b', keyFile: 'c' };\n"
        "await using client = await ScoreClient.open('dns:///localhost:1', { credentials });\n"
        "const award = { boardId: 'main', userId: 'ada', points: 10, actionType: 'a', actionId: 'b' };\n"
        "const result: AwardResult = await client.award(award);\n"
        "const total: bigint = result.total;\n"
        "for await (const entry of client.entries({ boardId: 'main' })) read(entry);\n"
        "function read(entry: Entry): bigint {\n"
        "  return entry.kind === 'award' ? entry.content.points : entry.revision + total;\n"
        "}\n"
        "// @ts-expect-error: an award has a user\n"
        "await client.award({ boardId: 'main' }).catch((error: UnavailableError) => error.retryAfterMs);\n"
    )
    compiler = built_client / "node_modules/typescript/bin/tsc"
    strict = [
        "--ignoreConfig",
        "--noEmit",
        "--strict",
        "--target",
        "esnext",
        "--module",
        "nodenext",
        "--types",
        "node",
    ]
    checked = subprocess.run(
        [NODE, compiler, *strict, "--exactOptionalPropertyTypes", "use.ts"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.stdout == ""
    public = (project / "node_modules/laurel-score-client/dist/types.d.ts").read_text()
    assert "generated" not in public


@asynccontextmanager
async def _running(project: Path, variables: dict[str, str]) -> AsyncIterator[str]:
    """Run the backend, and give its address; it ends in peace."""
    process = await asyncio.create_subprocess_exec(
        NODE,
        "--throw-deprecation",
        "backend.js",
        cwd=project,
        env=variables,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(60):
            line = await process.stdout.readline() if process.stdout else b""
        yield f"http://localhost:{line.decode().rpartition(' ')[2].strip()}"
        process.terminate()
        async with asyncio.timeout(60):
            assert await process.wait() == 0
    except BaseException:
        process.kill()
        await process.wait()
        raise


async def test_the_backend_of_the_readme_awards_a_run_once(
    project: Path, built_client: Path, score_service: ScoreService, backend_certificate: CertificateFiles
) -> None:
    readme = (built_client / "README.md").read_text(encoding="utf-8")
    [program] = re.findall(r"^```js\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert len(program.splitlines()) <= 25
    (project / "backend.js").write_text(program)
    variables = {
        "LAUREL_TARGET": score_service.target,
        "CA_FILE": str(backend_certificate.ca_file),
        "CERTIFICATE_FILE": str(backend_certificate.certificate_file),
        "KEY_FILE": str(backend_certificate.key_file),
        "PORT": "0",
    }
    paths = [f"/ada/level-1/{_AWARD_ID}"] * 3 + [f"/ada/level-2/{_AWARD_ID}", "/ada/level-1/no-uuid"]
    async with (
        _running(project, variables) as address,
        httpx.AsyncClient(base_url=address, timeout=60, trust_env=False) as http,
    ):
        answers = [await http.post(path) for path in paths]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 409, 400]
    assert [answer.json() for answer in answers[:3]] == [{"total": 10, "rank": 1}] * 3
    assert answers[3].json() == {"reason": "AWARD_CONFLICT"}
    assert answers[4].json() == {"award.award_id": "must be a UUID"}
