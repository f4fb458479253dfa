"""A copy of the example, edited by somebody with other names for everything, and with one more backend."""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from tests.deploy.rendering import DEPLOY, kustomize

EDITED: Final = "edited"
"""What this overlay is called among those that there are."""

_CHANGES: Final = {
    "namespace: laurel": "namespace: points",
    "registry.example.org": "images.acme.test",
    "0000000000000000000000000000000000000000000000000000000000000001": "a" * 64,
    "0000000000000000000000000000000000000000000000000000000000000002": "b" * 64,
    "trust-domain=example.org": "trust-domain=prod.acme.test",
    "spiffe://example.org/ns/laurel/": "spiffe://prod.acme.test/ns/points/",
    "issuer-kind=ClusterIssuer": "issuer-kind=AWSPCAClusterIssuer",
    "issuer-name=example-org-internal": "issuer-name=acme-ca\n  - issuer-group=awspca.cert-manager.io",
    "laurel.example.org": "play.acme.test",
    "gateway-namespace=example-gateway": "gateway-namespace=edge",
    "gateway-name=example-public": "gateway-name=front",
    "ingress-namespace=example-gateway": "ingress-namespace=edge-pods",
    "monitoring-namespace=example-monitoring": "monitoring-namespace=watchers",
    "git.example.org/laurel": "wiki.acme.test/points",
    "postgresql-network=203.0.113.0/28": "postgresql-network=10.1.0.0/24",
    "redis-network=203.0.113.16/28": "redis-network=10.2.0.0/24",
    "redis-port=6379": "redis-port=6390",
    "redis-sentinel-port=26379": "redis-sentinel-port=26390",
    "secret-store-kind=ClusterSecretStore": "secret-store-kind=SecretStore",
    "secret-store-name=example-vault": "secret-store-name=safe",
    "tracing-namespace=example-tracing": "tracing-namespace=spans",
    "collector.example-tracing.svc:4317": "otel.spans.svc:4318",
    "postgresql.example.org": "pg.acme.test",
    "PGPORT=5432": "PGPORT=6432",
    "PGDATABASE=laurel": "PGDATABASE=points",
    "redis.example.org:6379": "redis.acme.test:6390",
    "198.51.100.0/24": "10.3.0.0/24",
    "    example.org\n": "    MIIB\n",
    "# - ../../components/": "- ../../components/",
    "# Nothing to edit from here on.": """\
- name: authorities
  literals:
  - |
    ca.crt=
    -----BEGIN CERTIFICATE-----
    MIIB
    -----END CERTIFICATE-----
- name: ticket-issuers
  options: {disableNameSuffixHash: true}
  literals: [ticket-issuers.toml=]
# Nothing to edit from here on.""",
    "# Who signed the certificates of PostgreSQL and Redis.": """\
    [[identity]]
    spiffe_id = "spiffe://prod.acme.test/ns/shop/sa/till"
    methods = ["score_api.v1.ScoreService/*"]
    boards = ["*"]
    max_points = 10
    awards_per_second = 10
    points_per_minute = 100
# Who signed the certificates of PostgreSQL and Redis.""",
}


@cache
def render_edited() -> str:
    """Copy the example, edit its one file, and render it."""
    with tempfile.TemporaryDirectory() as folder:
        deploy = Path(folder, "deploy")
        shutil.copytree(DEPLOY, deploy)
        file = deploy / "overlays/production/kustomization.yaml"
        text = file.read_text(encoding="utf-8")
        for old, new in _CHANGES.items():
            assert old in text, "what is edited must be there"
            text = text.replace(old, new)
        file.write_text(text, encoding="utf-8")
        return kustomize(file.parent)
