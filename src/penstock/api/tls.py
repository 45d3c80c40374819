"""The certificate and the private key that the server shows over HTTPS, checked before it starts."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

REMEDY = (
    "Make both, for trying it out, with `openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj /CN=localhost"
    " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -out cert.pem -keyout key.pem`."
)


class ServerNotStarted(Exception):
    """The port or the certificate cannot be used, or the server did not come up; the text says why and what to do."""


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, as PEM files.

    `der` is the server's own certificate (the first of the file), `names` the hosts that it is for, DNS names first.
    """

    path: Path
    key_path: Path
    der: bytes
    names: tuple[str, ...]
    is_self_signed: bool

    def name_for(self, hosts: tuple[str, ...]) -> str | None:
        """The first of the hosts that the certificate is for, else the first name that is no pattern."""
        plain = [name for name in self.names if "*" not in name]
        return next((host for host in hosts if host in plain), plain[0] if plain else None)


def given_certificate(path: Path | None, key_path: Path | None, now: datetime) -> Certificate | None:
    """The certificate of both files, None without any. Raises ServerNotStarted."""
    if path is None and key_path is None:
        return None
    if path is None or key_path is None:
        given, missing = ("--tls-key", "--tls-cert") if path is None else ("--tls-cert", "--tls-key")
        raise ServerNotStarted(f"{given} is given without {missing}; HTTPS needs both. Give both, or neither.")
    return _load(path, key_path, now)


def _load(path: Path, key_path: Path, now: datetime) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    chain, key = _read("--tls-cert", path), _read("--tls-key", key_path)
    try:
        certificate = x509.load_pem_x509_certificates(chain)[0]
    except (ValueError, IndexError) as error:
        raise ServerNotStarted(f"--tls-cert {path} holds no certificate in PEM form. {REMEDY}") from error
    _check_key(path, key_path, certificate, key)
    for moment, is_wrong, what in (
        (certificate.not_valid_after_utc, certificate.not_valid_after_utc < now, "has expired on"),
        (certificate.not_valid_before_utc, certificate.not_valid_before_utc > now, "is valid only from"),
    ):
        if is_wrong:
            text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            raise ServerNotStarted(f"The certificate {path} {what} {text}: no client would take it. Renew it.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key_path)
    except ssl.SSLError as error:  # a key that is too weak, for instance
        raise ServerNotStarted(f"OpenSSL does not take {path} with {key_path}: {error.reason}. {REMEDY}") from error
    return Certificate(
        path=path,
        key_path=key_path,
        der=certificate.public_bytes(Encoding.DER),
        names=_names(certificate),
        is_self_signed=certificate.issuer == certificate.subject,
    )


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ServerNotStarted(
            f"{option} {path} cannot be read: {error.strerror}. Give the path of a PEM file that this user may read."
        ) from error


def _check_key(path: Path, key_path: Path, certificate: x509.Certificate, key: bytes) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        private = load_pem_private_key(key, None)
    except TypeError as error:
        raise ServerNotStarted(
            f"The key {key_path} is encrypted, and the server has nobody to ask for its passphrase. Write a plain one"
            f" that only this user may read: `openssl pkey -in {key_path} -out plain-key.pem`."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ServerNotStarted(f"--tls-key {key_path} holds no private key in PEM form. {REMEDY}") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != certificate.public_key().public_bytes(*form):
        raise ServerNotStarted(
            f"The key {key_path} does not belong to the certificate {path}. Give the two that were made together; the"
            " server's own certificate comes first in its file, before those of authorities."
        )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    addresses = [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return (*found.get_values_for_type(x509.DNSName), *addresses)
