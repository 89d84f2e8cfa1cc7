"""The secrets of a site: kept, sealed, and of no use elsewhere."""

from __future__ import annotations

import base64
import hashlib
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs7

from lab.operator.secrets import KeyPair, Secrets, SecretsError, password_hash


def opened(sealed: str, key: KeyPair) -> str:
    """Read a value as hiera-eyaml does."""
    content = base64.b64decode(sealed.removeprefix("ENC[PKCS7,").removesuffix("]"))
    certificate = x509.load_pem_x509_certificate(key.public.encode())
    private = load_pem_private_key(key.private.encode(), password=None)
    assert isinstance(private, RSAPrivateKey)
    return pkcs7.pkcs7_decrypt_der(content, certificate, private, []).decode()


def test_what_was_made_once_stays(tmp_path: Path) -> None:
    first, second = Secrets(directory=tmp_path), Secrets(directory=tmp_path)
    assert first.enrolment_key == second.enrolment_key
    assert first.wireguard("oslo") == second.wireguard("oslo")
    assert first.eyaml == second.eyaml
    assert first.tsig("a") != first.tsig("b")


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    secrets = Secrets(directory=tmp_path / "site")
    assert secrets.password("puppetboard")
    for path in (tmp_path / "site").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_nothing_shows_a_private_half(tmp_path: Path) -> None:
    pair = Secrets(directory=tmp_path).wireguard("oslo")
    assert pair.private not in repr(pair)


def test_a_sealed_value_is_read_with_the_key_of_its_site_alone(tmp_path: Path) -> None:
    here, there = Secrets(directory=tmp_path / "lab"), Secrets(directory=tmp_path / "production")
    sealed = here.encrypt("gå rett på sak")
    assert opened(sealed, here.eyaml) == "gå rett på sak"
    with pytest.raises(ValueError, match="No recipient"):
        opened(sealed, there.eyaml)


def test_a_wireguard_key_is_the_one_that_wg_would_derive(tmp_path: Path) -> None:
    # Bob's keys in RFC 7748, section 6.1.
    private = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
    public = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    kept = tmp_path / "wireguard" / "bob"
    kept.parent.mkdir()
    kept.write_text(base64.b64encode(bytes.fromhex(private)).decode())
    found = Secrets(directory=tmp_path).wireguard("bob")
    assert found.public == base64.b64encode(bytes.fromhex(public)).decode()


def test_who_may_log_in_is_read_once_and_then_edited_by_people(tmp_path: Path) -> None:
    secrets = Secrets(directory=tmp_path)
    assert secrets.operators(lambda: "# Managed by Puppet.\nssh-ed25519 A a\n\n") == [
        "ssh-ed25519 A a"
    ]
    (tmp_path / "authorized_keys").write_text("ssh-ed25519 B b\n")
    assert secrets.operators(lambda: "not asked again") == ["ssh-ed25519 B b"]


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("in the way")
    with pytest.raises(SecretsError, match="password/puppetboard"):
        Secrets(directory=tmp_path).password("puppetboard")


def test_a_password_hash_is_salted_sha1() -> None:
    digest = hashlib.sha1(b"secretsalt", usedforsecurity=False).digest()
    assert password_hash("secret", salt=b"salt") == (
        "{SSHA}" + base64.b64encode(digest + b"salt").decode()
    )
    assert password_hash("secret") != password_hash("secret")
