"""Certificate files that change under a running client, as `ScoreClient` takes them."""

from conformance.certificates import RenewableFiles
from score_client import ClientCredentials


class RenewableCertificate(RenewableFiles):
    """Three files in a folder, and the credentials that name them."""

    @property
    def credentials(self) -> ClientCredentials:
        """Where the files lie."""
        return ClientCredentials(self.files.ca_file, self.files.certificate_file, self.files.key_file)
