from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from actors.gateway import pki
from actors.gateway.config import GatewayConfig
from actors.gateway.kubeconfig import format_kubeconfig, server_url, write_kubeconfig

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SANS = ("localhost", "127.0.0.1", "::1", "gateway.example")


def _names(path: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in names}


def test_made_once_and_kept(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, SANS, NOW)
    before = {path: path.read_bytes() for path in (tmp_path / "pki").iterdir()}
    assert _names(made.server.certificate) == set(SANS)
    assert pki.ensure(tmp_path, SANS, NOW + timedelta(days=200)) == made
    assert {path: path.read_bytes() for path in (tmp_path / "pki").iterdir()} == before
    assert {path.stat().st_mode & 0o777 for path in before} == {0o600}


def test_new_names_and_near_ends_are_issued_again_by_the_same_ca(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, SANS, NOW)
    ca, admin = made.ca.certificate.read_bytes(), made.admin.certificate.read_bytes()
    pki.ensure(tmp_path, (*SANS, "10.0.0.9"), NOW)
    assert _names(made.server.certificate) == {*SANS, "10.0.0.9"}
    assert (made.ca.certificate.read_bytes(), made.admin.certificate.read_bytes()) == (ca, admin)
    pki.ensure(tmp_path, SANS, NOW + timedelta(days=300))
    assert made.ca.certificate.read_bytes() == ca
    assert made.admin.certificate.read_bytes() != admin
    x509.load_pem_x509_certificate(made.admin.certificate.read_bytes()).verify_directly_issued_by(
        x509.load_pem_x509_certificate(ca)
    )


def test_lost_leaves_are_made_again(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, SANS, NOW)
    made.admin.key.write_bytes(b"torn")
    made.server.certificate.unlink()
    pki.ensure(tmp_path, SANS, NOW)
    assert made.admin.key.read_bytes().startswith(b"-----BEGIN")
    assert made.server.certificate.exists()


def test_a_ca_that_cannot_be_used_is_an_error_not_a_new_ca(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, SANS, NOW)
    with pytest.raises(pki.PkiError, match="has expired"):
        pki.ensure(tmp_path, SANS, NOW + timedelta(days=4000))
    other = pki.ensure(tmp_path / "other", SANS, NOW)
    made.ca.key.write_bytes(other.ca.key.read_bytes())
    with pytest.raises(pki.PkiError, match="is not the key of"):
        pki.ensure(tmp_path, SANS, NOW)


def test_names_of_the_server() -> None:
    sans = pki.server_sans(("host", "host.example"), ("10.0.0.1", ""), ("localhost", "extra"))
    assert sans[:3] == ("localhost", "127.0.0.1", "::1")
    assert sans[-4:] == ("host", "host.example", "10.0.0.1", "extra")
    assert len(sans) == len(set(sans))


def test_kubeconfig(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, SANS, NOW)
    path = write_kubeconfig(tmp_path, made, server_url("127.0.0.1", 6443))
    assert path.stat().st_mode & 0o777 == 0o600
    content = yaml.safe_load(path.read_bytes())
    assert content["current-context"] == f"raypod-{made.fingerprint}" == content["clusters"][0]["name"]
    assert content["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    before = path.stat().st_mtime_ns
    write_kubeconfig(tmp_path, made, server_url("127.0.0.1", 6443))
    assert path.stat().st_mtime_ns == before
    assert format_kubeconfig(made, server_url("::1", 1)).count(b"https://[::1]:1") == 1


def test_config_defaults_and_typos(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import msgspec

    assert GatewayConfig().advertised_address == "127.0.0.1"
    assert GatewayConfig(host="10.0.0.5").advertised_address == "10.0.0.5"
    assert GatewayConfig(address="lb.example").advertised_address == "lb.example"
    monkeypatch.setenv("RAYPOD_HOME", str(tmp_path))
    assert GatewayConfig().home_path == tmp_path
    assert GatewayConfig(home="/x").home_path == Path("/x")
    with pytest.raises(msgspec.ValidationError, match="prot"):
        msgspec.convert({"prot": 1}, GatewayConfig)
