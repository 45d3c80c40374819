"""The ASGI application: one endpoint that speaks AWS JSON 1.1 for both service models, and `/health`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from time import perf_counter
from typing import Any

from penstock.api import tasks
from penstock.api.call import Answer, Call, Request
from penstock.api.metrics import Requests
from penstock.api.operations import Function, operations
from penstock.api.roles import check_operation
from penstock.api.seen_runners import SeenRunners
from penstock.api.waiters import Waiters
from penstock.data.log_files import LogFiles
from penstock.engine.engine import Engine
from penstock.store.rows import AccessKey, read
from penstock.wire.errors import ServiceError
from penstock.wire.json_protocol import decode_input, encode_error, encode_output
from penstock.wire.model import ServiceModel
from penstock.wire.sigv4 import parse_authorization, unknown_access_key, verify

LOG = logging.getLogger(__name__)
LARGEST_BODY = 24 * 1024 * 1024
THREADS = 16
QUICK = frozenset(("ListPipelines", "DescribePipelines", "DescribeObjects"))  # reads that cost less than a thread does
QUICK_BODY = 16 * 1024
CHECKS = frozenset(("PutPipelineDefinition", "ValidatePipelineDefinition"))  # processor time only: threads just quarrel
SECRETS_KEPT = 1000  # of access keys, in clear: revealing one costs more than the rest of a request's check
KEY_SECONDS = 1.0  # how late a server on PostgreSQL may hear that a key was revoked
LONGEST_POLL = 50.0  # seconds: boto3 gives up reading after 60
LOOK_AGAIN = 5.0  # seconds: another process on the same store may have made a task
UNAVAILABLE = "The service's store cannot be used now. Try again; the server's log says why."

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Accepted:
    """A request whose signature, operation and body are as they must be."""

    model: ServiceModel
    operation: str
    function: Function
    call: Call
    request: Request


class Application:
    """The service on one engine."""

    def __init__(self, engine: Engine, logs: LogFiles) -> None:
        self.engine = engine
        self.logs = logs
        self.runners = SeenRunners(engine)
        self.operations = operations()
        self.waiters = Waiters()
        self.requests: Requests | None = None  # where there are metrics
        self._reveal = lru_cache(SECRETS_KEPT)(engine.secrets.reveal)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._keys: dict[str, tuple[AccessKey, float]] = {}
        self._looking: asyncio.Future[None] | None = None
        self._threads = ThreadPoolExecutor(THREADS, "api")
        self._checks = ThreadPoolExecutor(1 if engine.store.reads_here else THREADS, "checks")
        engine.on_wake = self._wake

    async def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The core is synchronous: it runs in a thread, and only the edge is asynchronous."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def _wake(self, groups: set[str] | None) -> None:
        if self._loop is not None and not self._loop.is_closed():
            wake = self.waiters.wake_all if groups is None else partial(self.waiters.wake, groups)
            self._loop.call_soon_threadsafe(wake)

    def close(self) -> None:
        """Answer the long polls that wait, so that the server can end."""
        self._closing = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.waiters.wake_all)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        self._loop = asyncio.get_running_loop()
        if scope["method"] == "GET" and scope["path"] == "/health":
            await _respond(send, 200, b'{"status": "ok"}', str(uuid.uuid4()))
            return
        request_id = str(uuid.uuid4())
        began = perf_counter()
        status = 200
        try:
            body = await _body(receive)
            answer = await self._answer(scope, receive, body)
        except ServiceError as error:
            status, answer = error.status, encode_error(error.code, error.message)
        except self.engine.store.unavailable as error:
            LOG.error("Request %s failed, since the store cannot be used: %s", request_id, error)
            status, answer = 500, encode_error("InternalServiceError", UNAVAILABLE)
        except Exception:  # whatever went wrong, the caller gets the protocol's answer and the log the trace
            LOG.exception("Request %s failed", request_id)
            status = 500
            answer = encode_error("InternalServiceError", f"Request {request_id} failed; the server's log says why.")
        if answer is not None:
            await _respond(send, status, answer, request_id)
        if self.requests is not None:
            self.requests.observe(scope["headers"], status, perf_counter() - began)

    async def _answer(self, scope: Scope, receive: Receive, body: bytes) -> bytes | None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        operation = headers.get("x-amz-target", "").partition(".")[2]
        is_quick = self.engine.store.reads_here and len(body) <= QUICK_BODY
        if operation == "PollForTask":
            accepted = (
                self._accept(scope, headers, body) if is_quick else await self._run(self._accept, scope, headers, body)
            )
            answer = await self._long_poll(accepted, receive)
            return None if answer is None else encode_output(accepted.model, accepted.operation, answer)
        if is_quick and operation in QUICK:
            return self._perform(scope, headers, body)
        threads = self._checks if operation in CHECKS else self._threads
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, self._perform, scope, headers, body)

    def _perform(self, scope: Scope, headers: Mapping[str, str], body: bytes) -> bytes:
        accepted = self._accept(scope, headers, body)
        answer = accepted.function(accepted.call, accepted.request)
        return encode_output(accepted.model, accepted.operation, answer or {})

    def _accept(self, scope: Scope, headers: Mapping[str, str], body: bytes) -> Accepted:
        """Who calls is looked at before what is called, and the body last."""
        prefix, _, operation = headers.get("x-amz-target", "").partition(".")
        model, functions = self.operations.get(prefix, (None, {}))
        if scope["method"] != "POST" or scope["path"] != "/" or model is None or operation not in functions:
            self._authenticate(scope, headers, body, model.signing_name if model else "datapipeline")
            raise ServiceError("UnknownOperationException", f"There is no operation '{prefix[:60]}.{operation[:60]}'.")
        key = self._authenticate(scope, headers, body, model.signing_name)
        check_operation(key, operation)
        request = decode_input(model, operation, body)
        return Accepted(
            model, operation, functions[operation], Call(self.engine, key, self.logs, self.runners), request
        )

    def _authenticate(self, scope: Scope, headers: Mapping[str, str], body: bytes, service: str) -> AccessKey:
        signed = parse_authorization(headers)
        key = self._key(signed.access_key)
        if key is None or key.revoked_at is not None or signed.token is not None:  # our keys have no sessions
            raise unknown_access_key()
        verify(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            headers,
            body,
            signed,
            self._reveal(key.secret),
            self.engine.clock.now(),
            service=service,
        )
        return key

    def _key(self, access_key: str) -> AccessKey | None:
        """The key of an id; where reading it takes longer than all else, it may be a second old."""
        now = time.monotonic()
        known = self._keys.get(access_key)
        if known is not None and now < known[1]:
            return known[0]
        row = self.engine.store.one("key_by_id", access_key=access_key)
        key = read(AccessKey, row) if row is not None else None
        if key is not None and not self.engine.store.reads_here:
            if len(self._keys) >= SECRETS_KEPT:
                self._keys.clear()
            self._keys[access_key] = (key, now + KEY_SECONDS)
        return key

    async def _long_poll(self, accepted: Accepted, receive: Receive) -> Answer | None:
        """Wait for a task without holding a thread; a caller that has gone is handed nothing."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(self.engine.settings.engine.long_poll, LONGEST_POLL)
        group = accepted.request["workerGroup"]
        event = self.waiters.add(group)
        gone = asyncio.ensure_future(_disconnected(receive, event))
        self._look_again()
        has_waited = False
        try:
            while not gone.done():
                event.clear()
                answer = await self._poll(accepted, has_waited)
                has_waited = True
                if answer is not None:
                    event.set()  # there may be more tasks: the next one looks as well
                    if gone.done() and answer:
                        await self._run(tasks.hand_back, accepted.call, answer["taskObject"]["taskId"])
                        return None
                    return answer
                if self._closing or loop.time() >= deadline:
                    return {}
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await event.wait()
            return None
        finally:
            gone.cancel()
            self.waiters.remove(group, event)

    async def _poll(self, accepted: Accepted, has_waited: bool) -> Answer | None:
        """A task if there is one; where reading is quick, that there is none costs no thread."""
        group, hostname = accepted.request["workerGroup"], accepted.request.get("hostname", "")
        if self.engine.store.reads_here and tasks.nothing_waits(accepted.call, group, hostname):
            return None
        if has_waited:
            await self._run(tasks.check_key, accepted.call)
        answer: Answer | None = await self._run(accepted.function, accepted.call, accepted.request)
        return answer

    def _look_again(self) -> None:
        """Have somebody look now and then, while polls wait, whether another process has made tasks."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        while self.waiters.is_anybody_there():
            await asyncio.sleep(LOOK_AGAIN)
            try:
                self.waiters.wake(await self._run(tasks.waiting_groups, self.engine))
                await self._run(self.runners.write_if_due)
            except self.engine.store.unavailable:
                LOG.warning("The store cannot be asked for tasks that wait; it is asked again.")


async def _disconnected(receive: Receive, event: asyncio.Event) -> None:
    """Ends when the caller has gone, which wakes whoever waits for them."""
    while (await receive())["type"] != "http.disconnect":
        pass
    event.set()


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
