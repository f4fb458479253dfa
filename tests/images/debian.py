"""A base of this system's own packages, so that images are built without a registry."""

import re
import tempfile
from pathlib import Path

from tests.fixtures.programs import find_program
from tests.images.command import run

_EXTRA = "python3-venv"
"""What a base needs beside what every Debian has."""
_SOURCES = Path("/etc/apt")
_SIGNED_BY = re.compile(r"signed-by\s*[:=]\s*(/\S+\.(?:gpg|asc|pgp))", re.IGNORECASE)
_LEFT_OUT = ("./dev/*", "./var/cache/apt/*", "./var/lib/apt/lists/*", "./var/log/*")


def make_base(folder: Path) -> Path:
    """Return a tar file of this system's release with Python; it is made once and kept in the folder."""
    codename = _read_codename()
    path = folder / f"{codename}-{_EXTRA}.tar"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            root, draft = Path(work, "root"), Path(work, "base.tar")
            _bootstrap(codename, root)
            leave_out = [f"--exclude={pattern}" for pattern in _LEFT_OUT]
            run(["tar", "-C", root, "-cf", draft, *leave_out, "."])
            draft.rename(path)
    return path


def _bootstrap(codename: str, root: Path) -> None:
    mirror = _find_mirror(codename)
    options = ["--variant=minbase", f"--include={_EXTRA}", "--force-check-gpg"]
    if keyring := _find_keyring(mirror):
        options.append(f"--keyring={keyring}")
    run([find_program("debootstrap", "/usr/sbin/debootstrap"), *options, codename, root, mirror])


def _read_codename() -> str:
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    found = re.search(r"^VERSION_CODENAME=(\w+)$", release, re.MULTILINE)
    assert found, release
    return found[1]


def _find_mirror(codename: str) -> str:
    """Ask apt where this system's own packages come from."""
    said = run(["apt-get", "--print-uris", "update"])
    found = re.search(rf"^'(\S+)/dists/{codename}/(?:In)?Release(?:\.\w+)?'", said, re.MULTILINE)
    assert found, said
    return found[1]


def _find_keyring(mirror: str) -> str | None:
    """Find whose signature apt wants from the mirror; without one, debootstrap knows Debian's."""
    for path in [*sorted(_SOURCES.glob("sources.list.d/*")), _SOURCES / "sources.list"]:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if mirror in text and (found := _SIGNED_BY.search(text)):
            return found[1]
    return None
