"""The canonical form of a request in AWS Signature Version 4, and the signature over it."""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
# Headers that proxies and HTTP libraries change on the way (botocore leaves out the same ones).
UNSIGNED_HEADERS = frozenset(
    (
        "authorization",
        "baggage",
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "traceparent",
        "tracestate",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-amzn-trace-id",
    )
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


def host(url: str) -> str:
    """The Host header of a URL: lower case, without a default port, without user information."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port}" if parts.port not in (None, _DEFAULT_PORTS.get(parts.scheme)) else host


def canonical_request(
    method: str, path: str, query: str, lower: Mapping[str, str], signed: Sequence[str], payload: str
) -> bytes:
    """The canonical request; `lower` maps lower-case header names to values, `signed` names the signed."""
    lines = [method.upper(), _canonical_path(path), _canonical_query(query)]
    # Runs of white space count as one space.
    lines += [f"{name}:{' '.join(lower[name].split())}" for name in signed]
    lines += ["", ";".join(signed), payload]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _canonical_path(path: str) -> str:
    """The path without dot segments and doubled slashes, percent-encoded once more (all services but S3)."""
    if path in ("", "/"):
        return "/"
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    closing = "/" if kept and path.endswith("/") else ""
    return quote(("/" if path.startswith("/") else "") + "/".join(kept) + closing, safe="/~", errors="surrogatepass")


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&"))
    return "&".join(f"{name}={value}" for name, value in pairs)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256")


@functools.lru_cache(maxsize=256)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key that signs a day's requests to a service in a region."""
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, TERMINATOR):
        key = _hmac(key, part)
    return key


def signature(key: bytes, timestamp: str, scope: str, canonical: bytes) -> str:
    """The signature in hexadecimal over a canonical request."""
    text = "\n".join((ALGORITHM, timestamp, scope, hashlib.sha256(canonical).hexdigest()))
    return _hmac(key, text).hex()
