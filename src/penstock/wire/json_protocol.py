"""AWS JSON 1.1: bodies of requests and answers to Python values and back, by a service model.

Timestamps are aware datetimes, blobs are bytes, members that are None or null are absent. In what is written,
lone surrogates (undecodable bytes of a command's output, say) become `?`, since UTF-8 cannot say them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from penstock.wire.errors import ProtocolError, ServiceError
from penstock.wire.findings import Findings
from penstock.wire.limits import reader
from penstock.wire.model import Operation, ServiceModel, Shape
from penstock.wire.writing import Unfit, writer

MOST_VALUES = 1_000_000  # in a request, roughly: commas and opening brackets, wherever they stand


def decode_input(model: ServiceModel, operation: str, body: bytes) -> dict[str, Any]:
    """The checked parameters of a request; an empty body has none.

    ProtocolError: UnknownOperationException, SerializationException for malformed JSON and wrong types,
    ValidationException for limits.
    """
    shape = _operation(model, operation).input
    if len(body) > MOST_VALUES and sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        # As Python's values they would take a hundred times the memory, and seconds in which nobody else is served.
        raise ProtocolError("SerializationException", f"The body has more than {MOST_VALUES:,} values")
    document = _parsed(body)
    found = Findings()
    if shape is None:
        if type(document) is not dict:
            found.wrong_type(None, "an object", document)
        found.raise_if_any()
        return {}
    values: dict[str, Any] = reader(model, shape.name, True)(document, None, 0, found)
    found.raise_if_any()
    return values


def decode_output(model: ServiceModel, operation: str, body: bytes) -> dict[str, Any]:
    """The values of an answer; members that the model does not know are passed over.

    ProtocolError (SerializationException) where the answer is not JSON or has wrong types.
    """
    shape = _operation(model, operation).output
    if shape is None:
        return {}
    found = Findings()
    values: dict[str, Any] = reader(model, shape.name, False)(_parsed(body), None, 0, found)
    found.raise_if_any()
    return values


def encode_input(model: ServiceModel, operation: str, value: Mapping[str, Any]) -> bytes:
    """The body of a request; ValueError for unknown members and wrong types. The server checks the limits."""
    return _written(model, _operation(model, operation).input, value, "input of " + operation)


def encode_output(model: ServiceModel, operation: str, value: Mapping[str, Any]) -> bytes:
    """The body of an answer; unknown, missing or wrongly typed members are programming errors: ValueError."""
    shape = _operation(model, operation).output
    for name in shape.required if shape else ():
        if value.get(name) is None:
            raise ValueError(f"The output of {operation} lacks its required member '{name}'")
    return _written(model, shape, value, "output of " + operation)


def encode_error(code: str, message: str) -> bytes:
    """The body of an error answer."""
    return _encoded({"__type": code, "message": message})


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> ServiceError:
    """The error that an answer states, in any of the forms of AWS services; header names in lower case.

    Where it states none, the code is the HTTP status and the message the beginning of the body.
    """
    try:
        document = _parsed(body)
    except ProtocolError:
        document = None
    if not isinstance(document, dict):
        return ServiceError(str(status), body[:500].decode("utf-8", "replace"), status)
    code = headers.get("x-amzn-errortype") or document.get("__type") or document.get("code") or status
    message = document.get("message") or document.get("Message") or ""
    # namespace#Code:http://… are forms that gateways use.
    return ServiceError(str(code).split(":", 1)[0].rsplit("#", 1)[-1], str(message), status)


def _operation(model: ServiceModel, name: str) -> Operation:
    operation = model.operations.get(name)
    if operation is None:
        raise ProtocolError("UnknownOperationException", f"The service {model.name} has no operation '{name}'")
    return operation


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _parsed(body: bytes) -> Any:
    if not body:
        return {}
    try:
        document = _decoder.decode(body.decode("utf-8"))
        # An escaped lone surrogate is the one way to smuggle in text that no UTF-8 file or database can hold.
        if b"\\ud" in body or b"\\uD" in body:
            _encoder.encode(document).encode("utf-8")
    except UnicodeEncodeError:
        text = "The body has a text with half of a surrogate pair"
    except RecursionError:
        text = "The body is nested too deeply"
    except ValueError as error:
        text = f"The body is not JSON in UTF-8: {error}"
    else:
        return document
    raise ProtocolError("SerializationException", text)


def _encoded(document: Mapping[str, Any]) -> bytes:
    return _encoder.encode(document).encode("utf-8", "replace")


def _written(model: ServiceModel, shape: Shape | None, value: Mapping[str, Any], what: str) -> bytes:
    if shape is None:
        if value:
            raise ValueError(f"The {what} has no members, not '{next(iter(value))}'")
        return b"{}"
    try:
        return _encoded(writer(model, shape.name)(value))
    except Unfit as unfit:
        raise ValueError(f"The {what}{unfit}") from None
