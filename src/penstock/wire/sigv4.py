"""AWS Signature Version 4, both ways: signs a request, and verifies one that was signed.

Paths and queries are taken as they stand in the request line, still percent-encoded. Texts of errors are the
ones AWS services give; their status is 400, as the JSON services answer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from penstock.wire.canonical import (
    ALGORITHM,
    TERMINATOR,
    UNSIGNED_HEADERS,
    canonical_request,
    host,
    signature,
    signing_key,
)
from penstock.wire.errors import ServiceError

_TIMESTAMP = re.compile("[0-9]{8}T[0-9]{6}Z")


@dataclass(frozen=True)
class Credentials:
    """An access key with its secret, and a session token if it is a temporary one."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SignedRequest:
    """What the headers of a signed request say about its signature; nothing of it is verified yet.

    `date` is the day of the credential scope (YYYYMMDD), `timestamp` the time of signing (YYYYMMDDTHHMMSSZ),
    `token` the session token that came along.
    """

    access_key: str
    region: str
    service: str
    date: str
    terminator: str
    timestamp: str
    signed_headers: tuple[str, ...]
    signature: str
    token: str | None = field(default=None, repr=False)

    @property
    def scope(self) -> str:
        """The credential scope, as it is signed."""
        return f"{self.date}/{self.region}/{self.service}/{self.terminator}"


def sign(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    credentials: Credentials,
    *,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """The headers to send: those given, and Host, X-Amz-Date, X-Amz-Security-Token and Authorization."""
    timestamp = _timestamp(now)
    parts = urlsplit(url)
    replaced = {"authorization", "date", "x-amz-date", "x-amz-security-token"}
    sent = {name: value for name, value in headers.items() if name.lower() not in replaced}
    if not any(name.lower() == "host" for name in sent):
        sent["Host"] = host(url)
    sent["X-Amz-Date"] = timestamp
    if credentials.token:
        sent["X-Amz-Security-Token"] = credentials.token
    lower = {name.lower(): value for name, value in sent.items()}
    signed = sorted(name for name in lower if name not in UNSIGNED_HEADERS)
    payload = lower.get("x-amz-content-sha256") or hashlib.sha256(body).hexdigest()
    scope = f"{timestamp[:8]}/{region}/{service}/{TERMINATOR}"
    canonical = canonical_request(method, parts.path, parts.query, lower, signed, payload)
    key = signing_key(credentials.secret_key, timestamp[:8], region, service)
    sent["Authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={';'.join(signed)}, Signature={signature(key, timestamp, scope, canonical)}"
    )
    return sent


def parse_authorization(headers: Mapping[str, str]) -> SignedRequest:
    """What a request's headers (names in any case) say of its signature, so that the key can be looked up.

    ServiceError: MissingAuthenticationTokenException without a signature, IncompleteSignatureException where
    the Authorization header is not as it must be.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    authorization = lower.get("authorization", "").strip()
    if not authorization:
        raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token")
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{algorithm[:40]}' (only {ALGORITHM} is supported).")
    given = _parameters(rest)
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not given.get(name)]
    complaints = [f"Authorization header requires '{name}' parameter." for name in missing]
    if not (lower.get("x-amz-date") or lower.get("date")):
        complaints.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if complaints:
        raise _incomplete(" ".join(complaints))
    credential = given["Credential"].split("/")
    if len(credential) != 5:
        raise _incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{given['Credential'][:200]}'"
        )
    access_key, date, region, service, terminator = credential
    return SignedRequest(
        access_key=access_key,
        region=region,
        service=service,
        date=date,
        terminator=terminator,
        timestamp=_request_time(lower),
        signed_headers=tuple(given["SignedHeaders"].split(";")),
        signature=given["Signature"],
        token=lower.get("x-amz-security-token"),
    )


def verify(
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    request: SignedRequest,
    secret: str,
    now: datetime,
    *,
    service: str,
    max_skew: timedelta = timedelta(minutes=15),
) -> None:
    """Returns if `request` was signed with `secret` for this service and is fresh.

    Otherwise ServiceError InvalidSignatureException. Any region is accepted. The host and every x-amz-*
    header must be signed, and the payload is always the body that was received: UNSIGNED-PAYLOAD is refused.
    """
    _check_scope(request, service)
    _check_time(request.timestamp, now, max_skew)
    lower = {name.lower(): value for name, value in headers.items()}
    # As they were written, so that no byte of the header can be changed.
    signed = request.signed_headers
    if len(set(signed)) < len(signed):
        raise _invalid("A header is named twice in SignedHeaders.")
    for name in lower:
        if (name == "host" or name.startswith("x-amz-")) and name not in signed:
            raise _invalid(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    for name in ("host", *signed):
        if name not in lower:
            raise _invalid(f"The signed header '{name[:40]}' is not in the request.")
    payload = hashlib.sha256(body).hexdigest()
    if lower.get("x-amz-content-sha256", payload) != payload:
        raise _invalid(
            "The provided 'x-amz-content-sha256' header does not match what was computed; "
            "it must be the SHA-256 of the body, unsigned payloads are not accepted."
        )
    canonical = canonical_request(method, path, query, lower, signed, payload)
    key = signing_key(secret, request.date, request.region, request.service)
    calculated = signature(key, request.timestamp, request.scope, canonical)
    # Bytes, since compare_digest refuses texts that are not ASCII.
    if not hmac.compare_digest(calculated.encode(), request.signature.encode("utf-8", "replace")):
        raise _invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS "
            "Secret Access Key and signing method. Consult the service documentation for details."
        )


def unknown_access_key() -> ServiceError:
    """The error for an access key that nobody has, in AWS's words (raise it where keys are looked up)."""
    return ServiceError("UnrecognizedClientException", "The security token included in the request is invalid.")


def _incomplete(message: str) -> ServiceError:
    return ServiceError("IncompleteSignatureException", message)


def _invalid(message: str) -> ServiceError:
    return ServiceError("InvalidSignatureException", message)


def _parameters(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in text.split(","):
        name, equal, value = part.strip().partition("=")
        if not equal:
            raise _incomplete(
                f"'{part.strip()[:40]}' not a valid key=value pair (missing equal-sign) in Authorization header."
            )
        if name in given:
            raise _incomplete(f"Authorization header has the parameter '{name[:40]}' twice.")
        given[name] = value
    return given


def _request_time(lower: Mapping[str, str]) -> str:
    """The time of signing, YYYYMMDDTHHMMSSZ, from X-Amz-Date or an HTTP date in Date."""
    text = lower.get("x-amz-date") or lower["date"]
    if _parsed_time(text) is not None:
        return text
    if not lower.get("x-amz-date"):
        from email.utils import parsedate_to_datetime

        try:
            moment = parsedate_to_datetime(text)
            # A zone of -0000 gives a time without zone.
            return _timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            pass
    raise _incomplete(
        f"Date must be in ISO-8601 'basic format'. Got '{text[:40]}'. See http://en.wikipedia.org/wiki/ISO_8601"
    )


def _check_scope(request: SignedRequest, service: str) -> None:
    if request.terminator != TERMINATOR:
        raise _invalid(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', not '{request.terminator[:40]}'."
        )
    if request.service != service:
        raise _invalid(f"Credential should be scoped to correct service: '{service}'.")
    if request.date != request.timestamp[:8]:
        raise _invalid(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{request.date[:40]}' != '{request.timestamp[:8]}', from '{request.timestamp}'."
        )


def _check_time(timestamp: str, now: datetime, max_skew: timedelta) -> None:
    signed_at = _parsed_time(timestamp)
    if signed_at is None:
        raise _invalid(f"The time of signing '{timestamp[:40]}' is not a time.")
    minutes = f"{max_skew.total_seconds() / 60:g} min."
    moment = _utc(now)
    if signed_at < moment - max_skew:
        raise _invalid(
            f"Signature expired: {timestamp} is now earlier than {_timestamp(moment - max_skew)} "
            f"({_timestamp(moment)} - {minutes})"
        )
    if signed_at > moment + max_skew:
        raise _invalid(
            f"Signature not yet current: {timestamp} is still later than {_timestamp(moment + max_skew)} "
            f"({_timestamp(moment)} + {minutes})"
        )


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC)


def _timestamp(moment: datetime) -> str:
    utc = _utc(moment)
    # strftime writes years before 1000 without their zeros on some systems.
    return f"{utc.year:04}{utc.month:02}{utc.day:02}T{utc.hour:02}{utc.minute:02}{utc.second:02}Z"


def _parsed_time(text: str) -> datetime | None:
    if not _TIMESTAMP.fullmatch(text):
        return None
    day = int(text[:4]), int(text[4:6]), int(text[6:8])
    try:
        return datetime(*day, int(text[9:11]), int(text[11:13]), int(text[13:15]), tzinfo=UTC)
    except ValueError:
        return None
