"""Builds images without a daemon, a registry or a network."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from tests.images.command import run

_BASE: Final = "localhost/base"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TIMESTAMP: Final = 1_700_000_000
"""What all files of an image are dated, so that two builds can be compared."""

_PIP_CONF: Final = """\
[install]
no-index = true
find-links = /wheels
"""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that was built."""

    name: str
    digest: str
    config: dict[str, Any]
    """Its `config` by the OCI image specification: User, Env, Entrypoint and so on."""
    root: Path
    """Its file system."""


@dataclass(frozen=True, slots=True)
class Buildah:
    """A store of images in a folder, and the wheels they may be built from."""

    folder: Path
    wheels: Path

    @classmethod
    def open(cls, folder: Path, base: Path, wheels: Path) -> Self:
        """Open a store that holds the base, a tar file."""
        buildah = cls(folder, wheels)
        container = buildah.call("from", "scratch")
        buildah.call("add", "--quiet", container, str(base), "/")
        buildah.call("config", "--env", f"PATH={_PATH}", container)
        buildah.call("commit", "--quiet", "--rm", container, _BASE)
        (folder / "pip.conf").write_text(_PIP_CONF, encoding="ascii")
        return buildah

    def call(self, *arguments: str) -> str:
        """Call buildah and return what it prints."""
        return run([*self._command(), *arguments])

    def build(self, name: str) -> Image:
        """Build the image of a service."""
        dockerfile = f"deploy/images/{name}/Dockerfile"
        tag = f"localhost/{name}"
        run([*self.builder(), "--build-arg", f"BASE={_BASE}", "--tag", tag, "--file", dockerfile, "."])
        described = json.loads(self.call("inspect", "--type", "image", tag))
        return Image(name, described["FromImageID"], described["OCIv1"]["config"], self.mount(tag))

    def builder(self) -> list[str]:
        """Return the command that builds what its further arguments say, like `docker build`."""
        options = ["--pull-never", "--timestamp", str(_TIMESTAMP), "--volume", f"{self.wheels}:/wheels:ro"]
        options += ["--secret", f"id=pip.conf,src={self.folder / 'pip.conf'}"]
        return ["unshare", "--net", *self._command(), "build", *options]

    def mount(self, image: str = _BASE) -> Path:
        """Return the file system of an image, as a container gets it."""
        return Path(self.call("mount", self.call("from", "--pull-never", image)))

    def write_sbom(self, image: Image, folder: Path) -> Any:
        """Have `make sbom` list what is in an image, and read it."""
        builder = f"BUILDER={shlex.join(self.builder())}"
        run(["make", "sbom", f"IMAGE=localhost/{image.name}", builder, f"DEST={folder}"])
        return json.loads((folder / "sbom.cdx.json").read_text(encoding="utf-8"))

    def _command(self) -> list[str]:
        stores = ["--root", str(self.folder / "images"), "--runroot", str(self.folder / "run")]
        return ["buildah", "--storage-driver", "vfs", *stores]
