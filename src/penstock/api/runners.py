"""Which task runners there are: ListRunners, of the service model `penstock`."""

from __future__ import annotations

from penstock.api.call import Answer, Call, Request
from penstock.api.seen_runners import KEPT
from penstock.clock import from_ms
from penstock.store.rows import Attempt, read_all

_TASK = {"pipelineId": "pipeline_id", "attemptId": "attempt_id", "workerGroup": "worker_group"}


def list_runners(call: Call, request: Request) -> Answer:
    """The task runners that polled or reported within the last day, the last seen first, with the tasks they hold.

    A runner is a hostname with a key; a task is held by all runners of its hostname and its worker group. One that
    waits is seen when its poll begins and ends, so up to 50 seconds ago; what other servers on the same store saw is
    up to 30 seconds older.
    """
    call.runners.write()
    with call.engine.reading() as turn:
        rows = turn.tx.all("runners", since=turn.now - KEPT)
        running = read_all(Attempt, turn.tx.all("running_attempts_of_owner", owner=call.engine.owner))
    tasks: dict[tuple[str, str], list[Answer]] = {}
    for attempt in running:
        task = {key: getattr(attempt, name) for key, name in _TASK.items()}
        tasks.setdefault((attempt.hostname or "", attempt.worker_group), []).append(task)
    found: dict[tuple[str, str], Answer] = {}
    for row in rows:
        first = {"lastSeenTime": from_ms(0), "workerGroups": [], "tasks": []}
        runner = found.setdefault((row["hostname"], row["access_key"]), first)
        runner |= {"hostname": row["hostname"], "accessKeyId": row["access_key"], "keyName": row["key_name"]}
        runner["workerGroups"].append(row["worker_group"])
        runner["lastSeenTime"] = max(runner["lastSeenTime"], from_ms(row["last_seen_at"]))
        runner["tasks"] += tasks.get((row["hostname"], row["worker_group"]), [])
    return {"runners": sorted(found.values(), key=lambda runner: runner["lastSeenTime"], reverse=True)}
