"""The ASGI application: one endpoint that speaks AWS JSON 1.1 for both service models, and `/health`."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.resources import files
from types import ModuleType
from typing import Any

from penstock.api import activation, definitions, objects, own, pipelines, tasks
from penstock.api.call import Answer, Call, Request, check_operation
from penstock.engine.engine import Engine
from penstock.store.rows import AccessKey, read
from penstock.wire.errors import ServiceError
from penstock.wire.json_protocol import decode_input, encode_error, encode_output
from penstock.wire.model import ServiceModel, load_botocore_model, load_model
from penstock.wire.sigv4 import parse_authorization, unknown_access_key, verify

LOG = logging.getLogger(__name__)
LARGEST_BODY = 24 * 1024 * 1024
THREADS = 16
LOOK_AGAIN = 5.0  # seconds: another process on the same store may have made a task
MODULES: tuple[ModuleType, ...] = (pipelines, definitions, activation, objects, tasks, own)
_WORD = re.compile(r"(?<!^)(?=[A-Z])")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Function = Callable[[Call, Request], Answer | None]


def operations() -> Mapping[str, tuple[ServiceModel, Mapping[str, Function]]]:
    """Both service models by target prefix, each operation with the function of its name in this room."""
    found: dict[str, tuple[ServiceModel, Mapping[str, Function]]] = {}
    for model in (load_botocore_model("datapipeline"), penstock_model()):
        functions: dict[str, Function] = {}
        for operation in model.operations:
            name = _WORD.sub("_", operation).lower()
            functions[operation] = next(getattr(module, name) for module in MODULES if hasattr(module, name))
        found[model.target_prefix] = (model, functions)
    return found


def penstock_model() -> ServiceModel:
    """The model of our own operations."""
    return load_model(files("penstock") / "models" / "penstock" / "2026-11-20" / "service-2.json")


@dataclass
class Waiters:
    """Long polls that wait for a task, by worker group; each new task wakes one of them at once."""

    _waiting: dict[str, list[asyncio.Event]] = field(default_factory=dict)

    def add(self, group: str) -> asyncio.Event:
        """Wait for a task of the group."""
        event = asyncio.Event()
        self._waiting.setdefault(group, []).append(event)
        return event

    def remove(self, group: str, event: asyncio.Event) -> None:
        """Wait no more; a wake-up that came meanwhile goes to the next one."""
        waiting = self._waiting.get(group, [])
        if event in waiting:
            waiting.remove(event)
        if not waiting:
            self._waiting.pop(group, None)

    def wake(self, groups: set[str]) -> None:
        """Wake one waiter of each group."""
        for group in groups:
            for event in self._waiting.get(group, []):
                if not event.is_set():
                    event.set()
                    break


class Application:
    """The service on one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.operations = operations()
        self.waiters = Waiters()
        self._secrets: dict[str, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._threads = ThreadPoolExecutor(THREADS, "api")
        engine.on_wake = self._wake

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The core is synchronous: it runs in a thread, and only the edge is asynchronous."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _wake(self, groups: set[str]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.waiters.wake, groups)

    def close(self) -> None:
        """Answer the long polls that wait, so that the server can end."""
        self._closing = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake_all)

    def _wake_all(self) -> None:
        for events in list(self.waiters._waiting.values()):
            for event in events:
                event.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        self._loop = asyncio.get_running_loop()
        if scope["method"] == "GET" and scope["path"] == "/health":
            await _respond(send, 200, b'{"status": "ok"}', str(uuid.uuid4()))
            return
        request_id = str(uuid.uuid4())
        status = 200
        try:
            body = await _body(receive)
            answer = await self._answer(scope, receive, body)
        except ServiceError as error:
            status, answer = error.status, encode_error(error.code, error.message)
        except Exception:  # whatever went wrong, the caller gets the protocol's answer and the log the trace
            LOG.exception("Request %s failed", request_id)
            status = 500
            answer = encode_error("InternalServiceError", f"Request {request_id} failed; the server's log says why.")
        if answer is not None:
            await _respond(send, status, answer, request_id)

    async def _answer(self, scope: Scope, receive: Receive, body: bytes) -> bytes | None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        prefix, _, operation = headers.get("x-amz-target", "").partition(".")
        model, functions = self.operations.get(prefix, (None, {}))
        if scope["method"] != "POST" or scope["path"] != "/" or model is None or operation not in functions:
            await self._run(self._authenticate, scope, headers, body, "datapipeline")
            raise ServiceError("UnknownOperationException", f"There is no operation '{prefix}.{operation}'.")
        key = await self._run(self._authenticate, scope, headers, body, model.signing_name)
        check_operation(key, operation)
        request = decode_input(model, operation, body)
        call = Call(self.engine, key)
        if operation == "PollForTask":
            answer = await self._long_poll(functions[operation], call, request, receive)
            if answer is None:
                return None
        else:
            answer = await self._run(functions[operation], call, request)
        return encode_output(model, operation, answer or {})

    def _authenticate(self, scope: Scope, headers: Mapping[str, str], body: bytes, service: str) -> AccessKey:
        signed = parse_authorization(headers)
        with self.engine.store.snapshot() as tx:
            row = tx.one("key_by_id", access_key=signed.access_key)
        if row is None or row["revoked_at"] is not None:
            raise unknown_access_key()
        key = read(AccessKey, row)
        if key.secret not in self._secrets:
            self._secrets[key.secret] = self.engine.secrets.reveal(key.secret)
        verify(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            headers,
            body,
            signed,
            self._secrets[key.secret],
            self.engine.clock.now(),
            service=service,
        )
        return key

    async def _long_poll(self, function: Function, call: Call, request: Request, receive: Receive) -> Answer | None:
        """Wait for a task without holding a thread; a caller that has gone is handed nothing."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.engine.settings.engine.long_poll
        gone = asyncio.ensure_future(_disconnected(receive))
        group = request["workerGroup"]
        event = self.waiters.add(group)
        try:
            while True:
                if gone.done():
                    self.waiters.wake({group})
                    return None
                event.clear()
                answer: Answer | None = await self._run(function, call, request)
                if answer is not None:
                    return answer
                remaining = deadline - loop.time()
                if remaining <= 0 or self._closing:
                    return {}
                waiting = asyncio.ensure_future(event.wait())
                await asyncio.wait({waiting, gone}, timeout=min(remaining, LOOK_AGAIN), return_when="FIRST_COMPLETED")
                waiting.cancel()
        finally:
            gone.cancel()
            self.waiters.remove(group, event)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ServiceError("RequestTimeoutException", "The request ended too early.")
        part = message.get("body", b"")
        size += len(part)
        if size > LARGEST_BODY:
            raise ServiceError("RequestEntityTooLargeException", f"A request has at most {LARGEST_BODY:,} bytes.", 413)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def _respond(send: Send, status: int, body: bytes, request_id: str) -> None:
    headers = [
        (b"content-type", b"application/x-amz-json-1.1"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-requestid", request_id.encode()),
    ]
    error = json.loads(body).get("__type") if status >= 400 else None
    if error:
        headers.append((b"x-amzn-errortype", error.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
