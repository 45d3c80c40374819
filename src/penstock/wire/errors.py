"""The errors that travel over the wire: a code, a text and an HTTP status."""

from __future__ import annotations


class ServiceError(Exception):
    """An error answer of a service, as the server raises it and as the client gets it.

    `code` is the name that goes into `__type`, `message` the text for people, `status` the HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(code, message, status)
        self.code = code
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ProtocolError(ServiceError):
    """A request whose body is not what the service model says: wrong JSON, wrong types or broken limits."""
