"""Sends OpenLineage's events one after the other in a thread of its own: best effort, and never in the work's way."""

from __future__ import annotations

import atexit
import json
import logging
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from penstock.settings import OpenLineageSettings

LOG = logging.getLogger(__name__)
MOST_WAITING = 1000  # events
LAST_SECONDS = 5.0  # for what waits when the process ends
ANSWER_BYTES = 300  # of a refusal, for the log


class NotTaken(Exception):
    """The endpoint did not take an event; the text says why."""


class EventSender:
    """Posts events to one endpoint. What it does not take is lost, which is logged once, and again when it is over."""

    def __init__(self, settings: OpenLineageSettings) -> None:
        self._settings = settings
        self.url = f"{settings.url.rstrip('/')}/{settings.endpoint.lstrip('/')}"
        self._waiting: queue.Queue[Mapping[str, Any] | None] = queue.Queue(MOST_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ends_at = float("inf")
        self._lost = 0

    def send(self, event: Mapping[str, Any]) -> None:
        """Have an event sent soon; one that finds too many others waiting is lost."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="openlineage", daemon=True)
                self._thread.start()
                atexit.register(self.close)
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self._is_lost(f"{MOST_WAITING:,} events wait already")

    def close(self, within: float = LAST_SECONDS) -> None:
        """Send what waits, at most so many seconds long, and end."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is None:
            return
        atexit.unregister(self.close)
        self._ends_at = time.monotonic() + within
        try:
            self._waiting.put(None, timeout=within)
            thread.join(within)
        except queue.Full:
            pass
        if thread.is_alive():
            self._is_lost("the process ends")

    def _run(self) -> None:
        while (event := self._waiting.get()) is not None:
            left = self._ends_at - time.monotonic()
            try:
                if left <= 0:
                    raise NotTaken("the process ends")
                self._post(event, min(self._settings.timeout, left))
            except Exception as error:  # whatever it is, lineage must not end, nor hinder the work
                self._is_lost(str(error) or type(error).__name__)
            else:
                self._is_taken()

    def _post(self, event: Mapping[str, Any], timeout: float) -> None:
        """Send one event; a redirection is refused, as the key is for this endpoint only."""
        import http.client

        place = urlsplit(self.url)
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        connection = kind(place.netloc, timeout=timeout)
        headers = {"Content-Type": "application/json"}
        if self._settings.api_key:
            headers["Authorization"] = f"Bearer {self._settings.api_key}"
        try:
            path = place.path + (f"?{place.query}" if place.query else "")
            connection.request("POST", path, json.dumps(event).encode(), headers)
            answer = connection.getresponse()
            said = answer.read(ANSWER_BYTES).decode("utf-8", "replace").strip()
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise NotTaken(f"it answers {answer.status} {answer.reason} {said}".rstrip())

    def _is_lost(self, reason: str) -> None:
        with self._lock:
            self._lost += 1
            is_first = self._lost == 1
        if is_first:
            LOG.error(
                "The OpenLineage endpoint %s does not take events: %s. The work goes on without; [openlineage] in the"
                " settings says where they go.",
                self.url,
                reason,
            )

    def _is_taken(self) -> None:
        with self._lock:
            lost, self._lost = self._lost, 0
        if lost:
            LOG.warning("The OpenLineage endpoint %s takes events again; %d were lost.", self.url, lost)
