"""Whom a client trusts over HTTPS: the system's authorities and those of a bundle, or one certificate alone."""

from __future__ import annotations

import ssl

CA_BUNDLE = "AWS_CA_BUNDLE"
"""The variable of boto3 and aws-cli that names a PEM file of further authorities."""


def trusting(ca_bundle: str | None) -> ssl.SSLContext:
    """Verifies certificates and host names; a bundle adds authorities to the system's. ValueError for a wrong file."""
    context = ssl.create_default_context()
    if ca_bundle:
        remedy = f"correct {CA_BUNDLE}, or unset it"
        try:
            context.load_verify_locations(ca_bundle)
        except ssl.SSLError as error:
            raise ValueError(
                f"The file {ca_bundle} of {CA_BUNDLE} holds no certificates in PEM form; {remedy}"
            ) from error
        except OSError as error:
            raise ValueError(
                f"The file {ca_bundle} of {CA_BUNDLE} cannot be read: {error.strerror}; {remedy}"
            ) from error
    return context


def pinning() -> ssl.SSLContext:
    """Verifies nothing itself: whoever uses it must compare the certificate of the connection with `is_pinned`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def is_pinned(connected: object, certificate: bytes) -> bool:
    """Whether the server of a connected socket showed this very certificate (DER), whose key it then has."""
    return isinstance(connected, ssl.SSLSocket) and connected.getpeercert(binary_form=True) == certificate
