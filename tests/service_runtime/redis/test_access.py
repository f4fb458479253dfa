"""What a URL of Redis may say, and what no connection goes without."""

import ssl
from pathlib import Path

import pytest

from local_stack.certificates import CertificateAuthority, CertificateFiles
from service_runtime.redis.access import RedisAccess, RedisUrl, check_authorities, check_pair


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("redis://cache", RedisUrl("server", (("cache", 6379),))),
        ("redis://cache:1/3", RedisUrl("server", (("cache", 1),), database=3)),
        ("rediss://us%40er@[::1]:1/", RedisUrl("server", (("::1", 1),), is_tls=True, username="us@er")),
        ("unix:///run/redis.sock", RedisUrl("server", (), "/run/redis.sock")),
        ("unix://user@/run/r?db=2", RedisUrl("server", (), "/run/r", username="user", database=2)),
        (
            "redis+sentinel://a,b:1/ranks",
            RedisUrl("sentinel", (("a", 26379), ("b", 1)), service="ranks"),
        ),
        (
            "rediss+sentinel://user@a/ranks/4",
            RedisUrl(
                "sentinel", (("a", 26379),), "", is_tls=True, username="user", service="ranks", database=4
            ),
        ),
        ("redis+cluster://a:1,b/0", RedisUrl("cluster", (("a", 1), ("b", 6379)))),
        ("rediss+cluster://a", RedisUrl("cluster", (("a", 6379),), is_tls=True)),
    ],
)
def test_a_url_is_read(text: str, url: RedisUrl) -> None:
    assert RedisUrl.parse(text) == url


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hunter2", "must be a redis"),
        ("http://cache", "must be a redis"),
        ("redis+hunter2://cache", "must be a redis"),
        ("redis://:hunter2@cache", "must not hold a password"),
        ("redis+sentinel://user:hunter2@cache/ranks", "must not hold a password"),
        ("redis+cluster://a,user:hunter2@b", "must not hold a password"),
        ("redis://cache?password=hunter2", "must not hold a password"),
        ("rediss://cache?ssl_cert_reqs=none", "must have no query"),
        ("unix:///run/redis.sock?socket_timeout=1", "must have no query"),
        ("unix://cache", "must name a socket"),
        ("unixs:///run/redis.sock", "must name a socket"),
        ("redis://", "must name each host"),
        ("redis://cache:65536", "must name each host"),
        ("redis+cluster://a,,b", "must name each host"),
        ("redis://a,b", "must name one host"),
        ("redis://cache/hunter2", "must name the database by its number"),
        ("redis+sentinel://a", "must name the service"),
        ("redis+sentinel://a/ranks/hunter2", "must name the database by its number"),
        ("redis+cluster://a/1", "must name no database"),
        ("redis://cache#hunter2", "must be a redis"),
    ],
)
def test_a_faulty_url_is_reported_and_not_repeated(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        RedisUrl.parse(text)
    assert "hunter2" not in str(caught.value)


def test_passwords_are_not_shown() -> None:
    access = RedisAccess(RedisUrl.parse("redis://cache"), "hunter2", "hunter2")
    assert "hunter2" not in repr(access)
    assert access.options()["password"] == "hunter2"


def test_tls_always_checks_certificates_and_names(server_certificate: CertificateFiles) -> None:
    plain = RedisAccess(RedisUrl.parse("redis+sentinel://cache/ranks"))
    secure = RedisAccess(RedisUrl.parse("rediss+sentinel://cache/ranks"), ca_file=server_certificate.ca_file)
    checks = {
        "ssl_cert_reqs": "required",
        "ssl_check_hostname": True,
        "ssl_min_version": ssl.TLSVersion.TLSv1_2,
        "ssl_ca_certs": str(server_certificate.ca_file),
    }

    assert not [name for name in plain.options() if name.startswith("ssl")]
    assert not plain.sentinel_options()["ssl"]
    assert secure.sentinel_options()["ssl"]
    for options in (secure.options(), secure.sentinel_options()):
        assert options.items() >= checks.items()


def test_files_of_tls_are_looked_at(
    authority: CertificateAuthority,
    server_certificate: CertificateFiles,
    backend_certificate: CertificateFiles,
    tmp_path: Path,
) -> None:
    check_authorities(authority.ca_file)
    check_pair(server_certificate.certificate_file, server_certificate.key_file)
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ValueError, match="certificates in PEM"):
        check_authorities(empty)
    with pytest.raises(ValueError, match="the key of the certificate"):
        check_pair(server_certificate.certificate_file, backend_certificate.key_file)
