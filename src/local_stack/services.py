"""The two services, as this package knows them: commands, environment variables, and the files they read."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local_stack.certificates import TRUST_DOMAIN, CertificateAuthority, CertificateFiles
from local_stack.secret_file import ensure_secret, write_secret
from local_stack.servers.backing import Cache, Record
from local_stack.servers.ports import HOST
from local_stack.signing_keys import ensure_signing_key, write_key_set
from local_stack.state import StateFolder

SCORE_SERVICE = "score_service"
ACTION_GATEWAY = "action_gateway"
ACTIONS_FILE = Path(__file__).with_name("actions.toml")
POLICY_FILE = Path(__file__).with_name("policy.toml")
ISSUERS_FILE = Path(__file__).with_name("ticket-issuers.toml")
_CERTIFICATE_LIFETIME = timedelta(days=365)
# There is no balancer here, and the user who pressed Ctrl-C is waiting.
_STOP = {"DRAIN_SECONDS": "0", "STOP_SECONDS": "5"}


@dataclass(frozen=True, slots=True)
class Identities:
    """The certificates of the services and of an operator; those of the sample backend lie beside them."""

    score_service: CertificateFiles
    action_gateway: CertificateFiles
    operator: CertificateFiles


def issue_identities(state: StateFolder) -> Identities:
    """Issue the certificates of this start, by the authority of the state folder."""
    authority = CertificateAuthority.open(state.folder("certificates"))

    def issue(name: str, *, server: bool = False) -> CertificateFiles:
        return authority.issue(
            name,
            dns=["localhost"] if server else [],
            ips=[HOST] if server else [],
            uris=[f"spiffe://{TRUST_DOMAIN}/{name}"],
            valid_for=_CERTIFICATE_LIFETIME,
        )

    issue("sample-backend")
    return Identities(issue("score-service", server=True), issue("action-gateway"), issue("operator"))


def admin_settings(identity: CertificateFiles, score_target: str) -> dict[str, str]:
    """Return the settings of `score-admin`."""
    return _name(
        "score_admin",
        {
            "TARGET": score_target,
            "CA": identity.ca_file,
            "CERTIFICATE": identity.certificate_file,
            "KEY": identity.key_file,
        },
    )


def issuer_settings(state: StateFolder) -> dict[str, str]:
    """Return what has a gateway redeem tickets of the sample issuer, and make its key if need be."""
    keys = state.folder("keys") / "sample-issuer"
    ensure_signing_key(keys, datetime.now(UTC))
    write_key_set(keys)
    file = state.path / ISSUERS_FILE.name
    file.write_text(ISSUERS_FILE.read_text(encoding="utf-8"), encoding="utf-8")
    return _name(ACTION_GATEWAY, {"TICKET_ISSUERS_FILE": file})


def ready_file(state: StateFolder, package: str) -> Path:
    """Return where a service writes its addresses as soon as it listens."""
    return state.folder("run") / f"{package}.json"


def read_addresses(state: StateFolder, package: str) -> Mapping[str, str]:
    """Return the addresses a service listens on; empty while it does not."""
    path = ready_file(state, package)
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def is_ready(admin_address: str) -> bool:
    """Ask a service whether it has all it needs."""
    connection = http.client.HTTPConnection(admin_address, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Settings:
    """Makes the environment variables of the commands of both services."""

    state: StateFolder
    record: Record
    cache: Cache
    cache_prefix: str
    """Before the prefix that each service has of its own."""

    def owner(self, package: str) -> dict[str, str]:
        """Return the settings of the commands that change the schema."""
        role = _ROLES[package] + "_owner"
        return _name(
            package,
            {
                "MIGRATION_DSN": self.record.dsns[role],
                "MIGRATION_PASSWORD_FILE": self._password_file(role, self.record.passwords[role]),
            },
        )

    def score_service(self, identity: CertificateFiles, grpc_port: int) -> dict[str, str]:
        """Return the settings of `score_service serve`."""
        return self._serve(SCORE_SERVICE, "laurel:") | _name(
            SCORE_SERVICE,
            {
                "LISTEN": f"{HOST}:{grpc_port}",
                "TLS_CERTIFICATE_FILE": identity.certificate_file,
                "TLS_KEY_FILE": identity.key_file,
                "TLS_CA_FILE": identity.ca_file,
                "POLICY_FILE": POLICY_FILE,
            },
        )

    def action_gateway(self, identity: CertificateFiles, http_port: int, score_target: str) -> dict[str, str]:
        """Return the settings of `action_gateway serve`, whose signing keys are made if they do not exist."""
        keys = self.state.folder("keys")
        for kind in ("access", "action"):
            ensure_signing_key(keys / kind, datetime.now(UTC))
        return self._serve(ACTION_GATEWAY, "gateway:") | _name(
            ACTION_GATEWAY,
            {
                "LISTEN": f"{HOST}:{http_port}",
                "SCORE_TARGET": score_target,
                "SCORE_CERTIFICATE_FILE": identity.certificate_file,
                "SCORE_KEY_FILE": identity.key_file,
                "SCORE_CA_FILE": identity.ca_file,
                "ACCESS_KEYS_DIR": keys / "access",
                "ACTION_KEYS_DIR": keys / "action",
                "FREED_NAME_KEY_FILE": ensure_secret(keys / "freed-names"),
            },
        )

    def _serve(self, package: str, cache_prefix: str) -> dict[str, str]:
        role = _ROLES[package] + "_runtime"
        settings: dict[str, str | Path] = {
            "DATABASE_DSN": self.record.dsns[role],
            "DATABASE_PASSWORD_FILE": self._password_file(role, self.record.passwords[role]),
            "REDIS_URL": self.cache.url,
            "REDIS_PREFIX": self.cache_prefix + cache_prefix,
            "ADMIN_LISTEN": f"{HOST}:0",
            "READY_FILE": ready_file(self.state, package),
            **_STOP,
        }
        if self.cache.password is not None:
            settings["REDIS_PASSWORD_FILE"] = self._password_file("redis", self.cache.password)
        return _name(package, settings)

    def _password_file(self, name: str, password: str) -> Path:
        path = self.state.folder("passwords") / name
        write_secret(path, password.encode())
        return path


_ROLES = {SCORE_SERVICE: "score", ACTION_GATEWAY: "gateway"}


def _name(package: str, settings: Mapping[str, str | Path]) -> dict[str, str]:
    return {f"{package.upper()}_{name}": str(value) for name, value in settings.items()}
