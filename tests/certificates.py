"""Certificates that sign themselves, and their keys, for tests of HTTPS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """The PEM files of a certificate and of its key."""

    cert: Path
    key: Path


def make_pair(
    folder: Path,
    *names: str,
    starts: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=1),
    passphrase: bytes | None = None,
) -> Pair:
    """A new certificate for host names and addresses; the key is encrypted if there is a passphrase."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    hosts = [x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n) for n in names]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) + starts)
        .not_valid_after(datetime.now(UTC) + ends)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encryption = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    pair = Pair(folder / "cert.pem", folder / "key.pem")
    pair.cert.write_bytes(built.public_bytes(pem))
    pair.key.write_bytes(key.private_bytes(pem, form, encryption))
    return pair
