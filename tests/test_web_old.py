"""What the old web server is given, and the keys of the new one."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.operator import apache
from lab.operator.acme import thumbprint, thumbprint_of
from lab.operator.secrets import Secrets
from lab.operator.ssh import Result, Ssh

NEW = ("198.18.10.10", "fd18:0:10::10")


def test_ready_it_passes_challenges_on_and_nothing_else() -> None:
    passed = [
        line for line in apache.config("ready", new=NEW).splitlines() if line.startswith("ProxyP")
    ]
    there = "https://198.18.10.10:8443/.well-known/acme-challenge/"
    assert passed == [
        "ProxyPreserveHost On",
        f"ProxyPass /.well-known/acme-challenge/ {there} disablereuse=on nocanon",
    ]


def test_passing_it_passes_everything_on_but_what_the_new_server_asks_back() -> None:
    text = apache.config("passing", new=NEW)
    assert "ProxyPass / https://198.18.10.10:8443/ disablereuse=on nocanon" in text
    assert 'SetEnvIf Remote_Addr "^198\\.18\\.10\\.10$" no-proxy' in text
    assert 'SetEnvIf Remote_Addr "^fd18:0:10::10$" no-proxy' in text
    assert 'SetEnvIf Remote_Addr "^127\\." no-proxy' in text


def test_it_believes_the_new_server_and_nobody_else() -> None:
    text = apache.config("ready", new=NEW)
    assert "SSLProxyVerify require" in text
    assert "SSLProxyCACertificateFile /etc/ssl/generalprove/passage.crt" in text


def test_it_has_settled_unless_it_is_changing(tmp_path: Path) -> None:
    class Said(Ssh):
        def run(self, host, command, **_) -> Result:
            return Result(host=host, command=command, code=0, stdout=said, stderr="")

    def state() -> apache.ApacheState:
        ssh = Said(config=None, control_dir=tmp_path)
        return apache.Apache(ssh=ssh, host="bergen").state()

    said = f"active\nchanging\n{apache.config('passing', new=NEW)}"
    assert state() == apache.ApacheState(active=True, mode="passing", settled=False)
    # As after a restart of the host, which has forgotten everything below /run.
    said = f"active\nsettled\n{apache.config('passing', new=NEW)}"
    assert state() == apache.ApacheState(active=True, mode="passing")
    said = "inactive\nsettled\n"
    assert state() == apache.ApacheState(active=False)


def test_processes_for_those_who_are_passed_on_are_there_before_they_come() -> None:
    for mode in ("ready", "passing"):
        text = apache.config(mode, new=NEW)
        assert "StartServers 128\n" in text
        assert "MaxRequestWorkers 256\n" in text


def test_the_thumbprint_of_a_key_is_that_of_the_standard() -> None:
    # RFC 7638, section 3.1; only the public half is known, which is all that counts.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc"
        "_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0"
        "_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhA"
        "I4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    numbers = rsa.RSAPublicNumbers(
        e=65537, n=int.from_bytes(base64.urlsafe_b64decode(f"{modulus}=="))
    )
    assert thumbprint_of(numbers) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_account_and_the_passage_have_keys_that_stay(tmp_path: Path) -> None:
    first, second = Secrets(directory=tmp_path), Secrets(directory=tmp_path)
    assert first.acme_account == second.acme_account
    assert len(thumbprint(first.acme_account)) == 43
    certificate = x509.load_pem_x509_certificate(first.passage.public.encode())
    key = serialization.load_pem_private_key(second.passage.private.encode(), password=None)
    assert certificate.public_key() == key.public_key()
