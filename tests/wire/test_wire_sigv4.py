"""Signatures are AWS's: what botocore signs we accept, what we sign is what botocore signs."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.wire.canonical import signing_key
from penstock.wire.errors import ServiceError
from penstock.wire.sigv4 import Credentials, parse_authorization, sign, unknown_access_key, verify

NOW = datetime(2024, 7, 25, 12, 0, tzinfo=UTC)
KEY = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
URL = "http://127.0.0.1:4780/"
HEADERS = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "DataPipeline.ListPipelines"}
BODY = b'{"marker":"df-1"}'

NAMES = st.sampled_from(["X-Amz-Target", "Content-Type", "Accept", "X-Custom", "User-Agent", "Expect"])
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
SEGMENTS = st.lists(st.sampled_from(["", ".", "..", "a", "b%20c", "d~e", "f+g"]), max_size=4)
QUERIES = st.lists(st.sampled_from(["a=1", "b=", "c", "a=0", "d=%2F", "a=1"]), max_size=4).map("&".join)


def signed_by_botocore(
    method: str, url: str, headers: dict[str, str], body: bytes, token: str | None = None
) -> dict[str, str]:
    request = AWSRequest(method=method, url=url, headers=headers, data=body)
    signer = botocore.auth.SigV4Auth(
        BotocoreCredentials(KEY.access_key, KEY.secret_key, token), "datapipeline", "eu-west-1"
    )
    with mock.patch.object(botocore.auth, "get_current_datetime", lambda: NOW.replace(tzinfo=None)):
        signer.add_auth(request)
    return dict(request.headers.items())


def signed(url: str = URL, body: bytes = BODY, **changed: Any) -> dict[str, str]:
    given: dict[str, Any] = {"region": "us-east-1", "service": "datapipeline", "now": NOW, **changed}
    return sign("POST", url, HEADERS, body, given.pop("credentials", KEY), **given)


def check(headers: dict[str, str], *, now: datetime = NOW, **changed: Any) -> None:
    request: dict[str, Any] = {
        "method": "POST",
        "path": "/",
        "query": "",
        "body": BODY,
        "secret": KEY.secret_key,
    }
    request.update(changed)
    verify(
        request["method"],
        request["path"],
        request["query"],
        headers,
        request["body"],
        parse_authorization(headers),
        request["secret"],
        now,
        service="datapipeline",
    )


def refusal(headers: dict[str, str], **changed: Any) -> ServiceError:
    with pytest.raises(ServiceError) as error:
        check(headers, **changed)
    assert error.value.status == 400
    return error.value


@settings(deadline=None)
@given(
    st.sampled_from(["GET", "POST"]),
    SEGMENTS,
    QUERIES,
    st.dictionaries(NAMES, TEXTS),
    st.binary(max_size=20),
    st.sampled_from([None, "a session token"]),
)
def test_we_sign_as_botocore_does(
    method: str, segments: list[str], query: str, headers: dict[str, str], body: bytes, token: str | None
):
    url = f"http://LocalHost:4780/{'/'.join(segments)}" + (f"?{query}" if query else "")
    ours = sign(
        method,
        url,
        headers,
        body,
        Credentials(KEY.access_key, KEY.secret_key, token),
        region="eu-west-1",
        service="datapipeline",
        now=NOW,
    )
    theirs = signed_by_botocore(method, url, headers, body, token)
    assert ours["Authorization"] == theirs["Authorization"]
    assert ours["X-Amz-Date"] == theirs["X-Amz-Date"] == "20240725T120000Z"
    assert ours["Host"] == "localhost:4780"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://example.com:80/", "example.com"),
        ("https://example.com:443/", "example.com"),
        ("https://user@Example.com:80/", "example.com:80"),
        ("http://[::1]:4780/", "[::1]:4780"),
    ],
)
def test_the_host_header_is_the_urls_without_its_default_port(url: str, host: str):
    assert signed(url)["Host"] == host


@settings(deadline=None)
@given(SEGMENTS, QUERIES, st.dictionaries(NAMES, TEXTS), st.binary(max_size=20))
def test_we_accept_what_botocore_signs(segments: list[str], query: str, headers: dict[str, str], body: bytes):
    url = URL + "/".join(segments) + (f"?{query}" if query else "")
    sent = {**signed_by_botocore("POST", url, headers, body, "token"), "Host": "127.0.0.1:4780"}
    parts = urlsplit(url)
    check(sent, path=parts.path, query=parts.query, body=body)
    assert parse_authorization(sent).token == "token"


@settings(deadline=None)
@given(st.data())
def test_any_changed_byte_of_a_request_is_refused(data: st.DataObject):
    headers = signed()
    parts = {
        "method": b"POST",
        "path": b"/v1/x",
        "query": b"a=1&b=2",
        "body": BODY,
        "secret": KEY.secret_key.encode(),
    }
    url = URL + "v1/x?a=1&b=2"
    headers = signed(url)
    check(headers, path="/v1/x", query="a=1&b=2")
    names = [name for name in headers if name != "Authorization"]
    where = data.draw(st.sampled_from([*parts, *names]))
    if where in parts:
        changed = changed_byte(data, parts[where])
        text: Any = changed if where == "body" else changed.decode("latin-1")
        error = refusal(headers, **{"path": "/v1/x", "query": "a=1&b=2", where: text})
    else:
        headers[where] = changed_byte(data, headers[where].encode()).decode("latin-1")
        error = refusal(headers, path="/v1/x", query="a=1&b=2")
    assert error.code in ("InvalidSignatureException", "IncompleteSignatureException")


def changed_byte(data: st.DataObject, before: bytes) -> bytes:
    at = data.draw(st.integers(0, len(before) - 1))
    # A letter or a digit, since white space, dots and slashes may mean the same as nothing.
    put = data.draw(st.sampled_from([byte for byte in b"xyzXYZ0189" if byte != before[at]]))
    after = before[:at] + bytes([put]) + before[at + 1 :]
    return after if after.upper() != b"POST" else b"GET"


@settings(deadline=None)
@given(st.data())
def test_any_changed_byte_of_the_authorization_is_refused(data: st.DataObject):
    headers = signed()
    before = headers["Authorization"]
    headers["Authorization"] = changed_byte(data, before.encode()).decode()
    try:
        request = parse_authorization(headers)
    except ServiceError as error:
        assert error.code == "IncompleteSignatureException"
        return
    if request.access_key != KEY.access_key:
        # Nobody has that key, so that there is no secret to verify with.
        return
    assert refusal(headers).code == "InvalidSignatureException"


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=30))
def test_no_authorization_whatever_brings_parsing_down(authorization: str, date: str):
    for text in (authorization, f"AWS4-HMAC-SHA256 {authorization}"):
        with pytest.raises(ServiceError):
            check({**signed(), "Authorization": text, "X-Amz-Date": date})


def test_a_signature_with_letters_beyond_ascii_is_refused():
    headers = signed()
    headers["Authorization"] = headers["Authorization"][:-1] + "é"
    assert refusal(headers).code == "InvalidSignatureException"


def test_header_names_count_in_any_case():
    check({name.upper(): value for name, value in signed().items()})


def test_another_secret_gets_aws_own_text():
    assert refusal(signed(), secret="another").message == (
        "The request signature we calculated does not match the signature you provided. Check your AWS "
        "Secret Access Key and signing method. Consult the service documentation for details."
    )


def test_a_request_for_any_region_is_accepted():
    for region in ("us-east-1", "eu-west-1", "here"):
        headers = signed(region=region)
        check(headers)
        assert parse_authorization(headers).region == region


def test_a_request_for_another_service_is_refused():
    error = refusal(signed(service="s3"))
    assert error.code == "InvalidSignatureException"
    assert error.message == "Credential should be scoped to correct service: 'datapipeline'."


@pytest.mark.parametrize("minutes", [-15, 0, 15])
def test_a_clock_may_differ_by_fifteen_minutes(minutes: int):
    check(signed(), now=NOW + timedelta(minutes=minutes))


def test_an_old_signature_has_expired():
    error = refusal(signed(), now=NOW + timedelta(minutes=15, seconds=1))
    assert error.code == "InvalidSignatureException"
    assert error.message == (
        "Signature expired: 20240725T120000Z is now earlier than 20240725T120001Z (20240725T121501Z - 15 min.)"
    )


def test_a_signature_of_the_future_is_not_yet_current():
    error = refusal(signed(), now=NOW - timedelta(minutes=15, seconds=1))
    assert error.message == (
        "Signature not yet current: 20240725T120000Z is still later than 20240725T115959Z (20240725T114459Z + 15 min.)"
    )


def test_a_request_without_a_signature_is_told_so():
    for headers in ({}, {"Authorization": ""}):
        error = refusal(headers)
        assert (error.code, error.message) == (
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        )


@pytest.mark.parametrize(
    ("authorization", "text"),
    [
        ("Bearer x", "Unsupported AWS 'algorithm': 'Bearer' (only AWS4-HMAC-SHA256 is supported)."),
        ("AWS4-HMAC-SHA256 Credential", "'Credential' not a valid key=value pair (missing equal-sign)"),
        ("AWS4-HMAC-SHA256 Credential=a/b, Credential=c", "has the parameter 'Credential' twice."),
        ("AWS4-HMAC-SHA256 Credential=a", "Authorization header requires 'Signature' parameter."),
        ("AWS4-HMAC-SHA256 Credential=a", "Authorization header requires 'SignedHeaders' parameter."),
        (
            "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b'",
        ),
    ],
)
def test_an_incomplete_authorization_is_told_what_is_wrong(authorization: str, text: str):
    error = refusal({**signed(), "Authorization": authorization})
    assert error.code == "IncompleteSignatureException"
    assert text in error.message


def test_a_request_needs_a_date():
    headers = signed()
    del headers["X-Amz-Date"]
    assert "existence of either a 'X-Amz-Date' or a 'Date' header" in refusal(headers).message
    assert "Got 'noon'" in refusal({**headers, "X-Amz-Date": "noon"}).message
    assert "Got '20240230T000000Z'" in refusal({**headers, "X-Amz-Date": "20240230T000000Z"}).message


def test_the_date_may_be_an_http_date():
    headers = {name: value for name, value in HEADERS.items() if name != "X-Amz-Target"}
    sent = signed_by_botocore("POST", URL, {**headers, "Date": "now"}, BODY)
    assert "X-Amz-Date" not in sent
    check({**sent, "Host": "127.0.0.1:4780"})


def test_the_day_of_the_credential_is_the_day_of_the_request():
    headers = {**signed(), "X-Amz-Date": "20240726T000000Z"}
    assert refusal(headers).message == (
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
        "'20240725' != '20240726', from '20240726T000000Z'."
    )


def test_the_credential_ends_with_its_terminator():
    headers = signed()
    headers["Authorization"] = headers["Authorization"].replace("aws4_request", "aws5_request")
    assert "valid terminator: 'aws4_request', not 'aws5_request'" in refusal(headers).message


@pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-target"])
def test_the_host_and_amazons_headers_must_be_signed(name: str):
    headers = signed()
    headers["Authorization"] = headers["Authorization"].replace(f"{name};", "").replace(f";{name}", "")
    assert refusal(headers).message == f"'{name}' must be a 'SignedHeader' in the AWS Authorization."


def test_a_header_that_was_added_on_the_way_is_refused_if_it_is_amazons():
    check({**signed(), "X-Forwarded-For": "10.0.0.1"})
    assert "'x-amz-more' must be" in refusal({**signed(), "X-Amz-More": "1"}).message


@pytest.mark.parametrize("name", ["Host", "Content-Type"])
def test_a_signed_header_that_was_lost_on_the_way_is_named(name: str):
    headers = signed()
    del headers[name]
    assert f"The signed header '{name.lower()}' is not in the request." in refusal(headers).message


def test_the_payload_is_the_body_whatever_the_header_says():
    for claim in ("UNSIGNED-PAYLOAD", "0" * 64):
        headers = sign(
            "POST",
            URL,
            {**HEADERS, "X-Amz-Content-SHA256": claim},
            BODY,
            KEY,
            region="us-east-1",
            service="datapipeline",
            now=NOW,
        )
        error = refusal(headers)
        assert error.code == "InvalidSignatureException"
        assert "The provided 'x-amz-content-sha256' header does not match what was computed" in error.message


def test_a_key_that_nobody_has_gets_aws_own_text():
    error = unknown_access_key()
    assert (error.code, error.message, error.status) == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        400,
    )


def test_secrets_are_not_shown():
    text = repr(Credentials("AKID", "the secret", "the token"))
    assert text == "Credentials(access_key='AKID')"
    assert "the token" not in repr(parse_authorization(signed(credentials=Credentials("A", "s", "the token"))))


def test_a_time_without_a_zone_is_a_programming_error():
    with pytest.raises(ValueError, match="has no time zone"):
        signed(now=NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="has no time zone"):
        check(signed(), now=NOW.replace(tzinfo=None))


def test_signing_keys_are_kept_but_not_for_ever():
    assert signing_key.cache_info().maxsize == 256


def test_verifying_a_small_request_is_quick():
    headers = signed()
    check(headers)
    taken = []
    for _ in range(200):
        begun = time.perf_counter()
        check(headers)
        taken.append(time.perf_counter() - begun)
    assert min(taken) < 0.0003
