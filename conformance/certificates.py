"""Certificate files that change under a running client."""

import shutil
from pathlib import Path

from local_stack.certificates import CertificateFiles


class RenewableFiles:
    """Three files in a folder, replaced as platforms do it: one after the other, each by a rename."""

    def __init__(self, folder: Path, files: CertificateFiles) -> None:
        self.files = CertificateFiles(folder / "ca.pem", folder / "tls.pem", folder / "key.pem")
        self._folder = folder
        self.replace(files)

    def replace(self, files: CertificateFiles) -> None:
        """Put these files in the place of the old ones."""
        self.replace_one("ca.pem", files.ca_file)
        self.replace_one("tls.pem", files.certificate_file)
        self.replace_one("key.pem", files.key_file)

    def replace_one(self, name: str, source: Path) -> None:
        """Replace one of `ca.pem`, `tls.pem` and `key.pem`."""
        shutil.copy(source, self._folder / "new")
        (self._folder / "new").rename(self._folder / name)

    def remove(self, name: str) -> None:
        """Remove one of the three."""
        (self._folder / name).unlink()
