"""What holds after every step, worked out from the rows and the definitions, not by the engine's code."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator

from simulated_model import Model, Part
from simulated_world import Step, World, rows_of

from penstock.engine.waiting import why
from penstock.store.database import Row
from penstock.store.rows import Instance, read
from penstock.wire.reasons import DEACTIVATED

FINAL = {"FINISHED", "FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT", "SKIPPED"}
BAD = FINAL - {"FINISHED", "SKIPPED"}
W, Q, R = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER", "RUNNING"
C, S = "CREATING", "SHUTTING_DOWN"
ATTEMPTED = {(W, Q), (Q, R), (R, Q), (Q, Q), *((a, b) for a in (W, Q, R) for b in ("FINISHED", "CANCELED"))}
ATTEMPTED |= {(R, "FAILED"), (Q, "FAILED"), (W, "CASCADE_FAILED")}
AGAIN = {(a, W) for a in FINAL} | {(a, "FINISHED") for a in BAD}
LEGAL = {
    "Activity": ATTEMPTED | AGAIN | {(Q, W)},
    "Precondition": ATTEMPTED | AGAIN,
    "DataNode": {(W, "FINISHED"), (W, "CANCELED"), (W, "CASCADE_FAILED"), (W, "FAILED")} | AGAIN,
    "Resource": AGAIN
    | {(W, C), (C, C), (C, R), (R, C), (C, S), (R, S), (W, "FINISHED"), (C, "FINISHED"), (S, "FINISHED")}
    | {(a, b) for a in (C, R) for b in ("FAILED", "TIMEDOUT")}
    | {(S, "TIMEDOUT")}
    | {(a, "CANCELED") for a in (W, C, R, S)},
    "ATTEMPT": {(Q, R), (R, Q)} | {(a, b) for a in (Q, R) for b in ("FINISHED", "FAILED", "TIMEDOUT", "CANCELED")},
    "PIPELINE": {(a, "SCHEDULED") for a in ("PENDING", "SCHEDULED", "FINISHED", "INACTIVE")}
    | {("SCHEDULED", "FINISHED"), ("SCHEDULED", "DEACTIVATING"), ("FINISHED", "DEACTIVATING")}
    | {("DEACTIVATING", "INACTIVE")}
    | {(a, "DELETING") for a in ("PENDING", "SCHEDULED", "FINISHED", "DEACTIVATING", "INACTIVE")},
}
EVENT = ("at", "pipeline_id", "object_id", "sphere", "verb", "from_status", "to_status", "detail")  # ids, but no tokens
Key = tuple[str, str, str, int]  # pipeline, component, node, start


class State:
    """All rows as they are now."""

    def __init__(self, world: World, events_after: int) -> None:
        with world.store.snapshot() as tx:
            self.pipelines = {row["pipeline_id"]: row for row in rows_of(tx, "SELECT * FROM pipelines")}
            self.components = rows_of(tx, "SELECT * FROM components ORDER BY pipeline_id, component")
            self.instances = rows_of(tx, "SELECT * FROM instances ORDER BY pipeline_id, scheduled_start, instance_id")
            self.attempts = rows_of(tx, "SELECT * FROM attempts ORDER BY pipeline_id, attempt_id")
            self.dependencies = rows_of(tx, "SELECT * FROM dependencies")
            self.backfills = rows_of(tx, "SELECT * FROM backfills")
            self.activations = rows_of(tx, "SELECT * FROM activations")
            self.outbox = rows_of(tx, "SELECT * FROM outbox")
            self.events = rows_of(tx, f"SELECT * FROM events WHERE sequence > {events_after} ORDER BY sequence")
        self.at: dict[Key, Row] = {}
        self.by_id: dict[tuple[str, str], Row] = {}
        for row in self.instances:
            key = (row["pipeline_id"], row["component"], row["node"], row["scheduled_start"])
            assert key not in self.at, f"two instances of one interval: {key}"
            self.at[key] = row
            self.by_id[row["pipeline_id"], row["instance_id"]] = row
        self.attempts_of: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self.attempts:
            self.attempts_of[row["pipeline_id"], row["instance_id"]].append(row)
        self.component = {(row["pipeline_id"], row["component"]): row for row in self.components}


class Laws:
    """Follows a world from step to step."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.sequence = 0
        self.statuses: dict[tuple[str, str, str], str] = {}
        self.tries: Counter[tuple[str, str]] = Counter()
        self.models: dict[tuple[str, int], Model] = {}
        self.gone: set[Key] = set()
        self.known: dict[Key, Row] = {}
        self.reruns: set[tuple[str, str]] = set()
        self.history: list[str] = []
        self.alarms: Counter[tuple[str, str]] = Counter()  # that were written down as delivered or given up
        self.ends: Counter[tuple[str, str]] = Counter()  # with an action that is an alarm
        self.runs: Counter[tuple[str, str]] = Counter()
        self.health: dict[tuple[str, str], set[str]] = {}  # by component: what it may be
        self.state: State

    # models

    def model(self, pipeline_id: str, number: int) -> Model:
        found = self.models.get((pipeline_id, number))
        if found is None:
            row = self._activations[pipeline_id, number]
            definition = self.world.versions[pipeline_id, row["version"]]
            first = self.state.pipelines[pipeline_id]["first_activated_at"]
            found = self.models[pipeline_id, number] = Model(definition, row["scheduled_at"], first)
        return found

    def part(self, row: Row) -> tuple[Model, Part]:
        model = self.model(row["pipeline_id"], row["activation"])
        return model, model.parts[row["component"]]

    # the check

    def check(self, step: Step) -> None:
        self.state = State(self.world, self.sequence)
        self._activations = {(row["pipeline_id"], row["number"]): row for row in self.state.activations}
        self._no_trace_of_deleted()
        self._follow(step)
        self._disappear(step)
        self._actions()
        self._shape_of_instances()
        self._places()
        self._dependencies()
        self._progress()
        self._pipelines()
        self._sleep(step)
        self._wakes()

    def _no_trace_of_deleted(self) -> None:
        state = self.state
        for rows in (
            state.components,
            state.instances,
            state.attempts,
            state.dependencies,
            state.backfills,
            state.activations,
            state.outbox,
            state.events,
        ):
            for row in rows:
                assert row["pipeline_id"] not in self.world.deleted, f"left of a deleted pipeline: {dict(row)}"

    def _follow(self, step: Step) -> None:
        """Events are legal chains that end where the rows are."""
        state = self.state
        self.health_now: dict[tuple[str, str], set[str]] = {}
        for event in state.events:
            self.sequence = event["sequence"]
            self.history.append(json.dumps([event[column] for column in EVENT]))
            sphere, pipeline_id, identity = event["sphere"], event["pipeline_id"], event["object_id"]
            if sphere == "ALARM":
                self.alarms[pipeline_id, identity] += event["to_status"] != "NOT_DELIVERED"
                continue
            key = (sphere, pipeline_id, identity)
            before, source, target = self.statuses.get(key), event["from_status"], event["to_status"]
            assert before in (None, source), f"{identity} was {before}, not {source}: {dict(event)}"
            family = sphere
            if sphere == "INSTANCE":
                row = state.by_id.get((pipeline_id, identity))
                family = row["family"] if row is not None else ""
                if row is not None:
                    self._moved(event, row, step)
            if family:
                assert (source, target) in LEGAL[family], f"no legal move: {dict(event)}"
            self.statuses[key] = target
        for rows, sphere, column in (
            (state.instances, "INSTANCE", "status"),
            (state.attempts, "ATTEMPT", "status"),
            (list(state.pipelines.values()), "PIPELINE", "state"),
        ):
            for row in rows:
                if row["pipeline_id"] in self.world.deleted:
                    continue  # its events have gone with it
                identity = row[{"INSTANCE": "instance_id", "ATTEMPT": "attempt_id", "PIPELINE": "pipeline_id"}[sphere]]
                known = self.statuses.setdefault((sphere, row["pipeline_id"], identity), row[column])
                assert known == row[column], f"{identity} is {row[column]}, its events say {known}"

    def _moved(self, event: Row, row: Row, step: Step) -> None:
        pipeline_id, identity, verb = event["pipeline_id"], event["object_id"], event["verb"]
        key = (pipeline_id, identity)
        if event["from_status"] in FINAL:
            assert verb in ("rerun", "mark finished"), f"a final state has changed: {dict(event)}"
            inner = step[3] if step[0] == "break" else step
            if verb == "mark finished":
                assert inner[:1] == ("set_status",) and inner[2] == "MARK_FINISHED", f"nobody asked: {dict(event)}"
            elif row["family"] in ("Activity", "DataNode"):
                is_asked = inner[0] in ("set_status", "activate", "backfill") or self.had_backfills
                assert is_asked, f"nobody asked: {dict(event)}"
            self.tries[key] = 0
            self.reruns.add(key)
        if event["to_status"] in FINAL and event["detail"] != DEACTIVATED:
            self._ended(event["to_status"], key, row)
        if verb in ("queue", "retry", "create"):
            self.tries[key] += 1
            _, part = self.part(row)
            assert self.tries[key] <= part.retries + 1, f"{self.tries[key]} tries: {identity} {part.retries=}"
        if verb == "wait again":
            self.tries[key] -= 1  # it was not begun
        if verb in ("queue", "take") or (verb == "finish" and row["family"] == "DataNode"):
            self._may_start(row, is_taken=verb == "take")

    def _ended(self, status: str, key: tuple[str, str], row: Row) -> None:
        _, part = self.part(row)
        self.runs[key] += 1
        self.ends[key] += "onSuccess" in part.fields if status == "FINISHED" else "onFail" in part.fields
        if status not in ("CASCADE_FAILED", "SKIPPED"):
            for name in (row["component"], row["node"] if status == "FAILED" else ""):
                self.health_now.setdefault((key[0], name), set()).add("HEALTHY" if status == "FINISHED" else "ERROR")

    def _actions(self) -> None:
        """Each end has its alarm, once, and its say in the health of its component; what is late says so once."""
        state = self.state
        waiting = Counter((row["pipeline_id"], row["object_id"]) for row in state.outbox)
        for key in {**self.ends, **self.alarms, **waiting}:
            row = state.by_id.get(key)
            if row is None:
                continue
            _, part = self.part(row)
            is_told = part.fields.get("onLateAction") == {"ref": "Alarm"} and "lateAfterTimeout" in part.fields
            most = self.ends[key] + (self.runs[key] + 1 if is_told else 0)
            told = self.alarms[key] + waiting[key]
            assert self.ends[key] <= told <= most, f"{key} had {told} alarms for {self.ends[key]} ends"
        self.health |= self.health_now
        for component, possible in self.health.items():
            found = state.component.get(component)
            if found is not None:
                assert found["health"] in possible, f"{component} is {found['health']}, not {possible}"

    def _may_start(self, row: Row, *, is_taken: bool) -> None:
        """What has a task may be handed out by the key of a resource's runner only, which has none while it is lost."""
        model, part = self.part(row)
        for kind, (name, node, start) in model.waits(
            part.id, row["node"], row["scheduled_start"], row["scheduled_end"]
        ):
            key = (row["pipeline_id"], name, node, start)
            producer = self.state.at.get(key)
            if is_taken and kind == "resource":
                continue
            if producer is None:
                assert key in self.gone or self._is_left_out(key), f"{row['instance_id']} started before {key} was made"
                continue
            status = self.statuses.get(("INSTANCE", row["pipeline_id"], producer["instance_id"]))
            if status is None:
                status = "SKIPPED" if producer["status"] == "SKIPPED" else W
            fine = ("RUNNING",) if kind == "resource" else ("FINISHED", "SKIPPED")
            assert status in fine, f"{row['instance_id']} started while {producer['instance_id']} was {status}"

    def _disappear(self, step: Step) -> None:
        """Only retention lets instances go, and only such as have ended."""
        state = self.state
        for key, row in self.known.items():
            if key in state.at or key[0] in self.world.deleted:
                continue
            is_asked = step[0] in ("set_status", "activate", "deactivate", "end", "report", "put", "backfill")
            assert row["status"] in FINAL or not is_asked, f"it has gone, and was {row['status']}: {key}"
            self.gone.add(key)
            identity = row["instance_id"]
            self.statuses.pop(("INSTANCE", key[0], identity), None)
            for counted in (self.tries, self.ends, self.alarms, self.runs):
                counted.pop((key[0], identity), None)
            self.reruns.discard((key[0], identity))
            for sphere, pipeline_id, attempt_id in list(self.statuses):
                if sphere == "ATTEMPT" and pipeline_id == key[0] and attempt_id.startswith(f"{identity}_Attempt="):
                    del self.statuses[sphere, pipeline_id, attempt_id]
        self.known = state.at
        self.had_backfills = bool(state.backfills)

    def _shape_of_instances(self) -> None:
        state = self.state
        for row in state.instances:
            key = (row["pipeline_id"], row["instance_id"])
            active = [attempt for attempt in state.attempts_of[key] if attempt["ended_at"] is None]
            status = row["status"]
            assert (row["ended_at"] is not None) == (status in FINAL), f"ended_at: {dict(row)}"
            assert row["tries_left"] >= 0, f"tries_left: {dict(row)}"
            if status in FINAL or status == W:
                assert not active, f"{key} is {status} with an active attempt"
            elif status != S:
                assert len(active) == 1, f"{key} is {status} without an active attempt"
                if row["family"] != "Resource":
                    assert active[0]["status"] == status, f"{key} is {status}, its attempt {active[0]['status']}"
            assert row["attempt_count"] == max([0, *(attempt["number"] for attempt in state.attempts_of[key])]), (
                f"attempt_count: {dict(row)}"
            )
        for row in state.attempts:
            if row["status"] == R:
                due = min(at for at in (row["lease_until"], row["ends_at"]) if at is not None)
                assert row["due_at"] == due, f"due_at: {dict(row)}"
            assert (row["pipeline_id"], row["instance_id"]) in state.by_id, f"no instance: {dict(row)}"

    def _places(self) -> None:
        """No more than maxActiveInstances; intervals are made in their order, and none is left out."""
        state = self.state
        active: Counter[tuple[str, str]] = Counter()
        for row in state.instances:
            if row["is_rerun"]:
                assert (row["pipeline_id"], row["instance_id"]) in self.reruns, f"no rerun: {dict(row)}"
            elif row["family"] == "Resource" and self._key(row) in self.gone:
                continue  # retention had deleted it: it was made again for an old interval
            elif row["status"] not in FINAL:
                active[row["pipeline_id"], row["component"]] += 1
        self.free: dict[tuple[str, str], bool] = {}
        for row in state.components:
            key = (row["pipeline_id"], row["component"])
            number = state.pipelines[key[0]]["activation"]
            most = [
                self.model(key[0], n).parts[key[1]].max_active
                for n in range(1, number + 1)
                if (key[0], n) in self._activations and key[1] in self.model(key[0], n).parts
            ]
            part = self.model(key[0], number).parts.get(key[1])
            if part is None or part.family == "Precondition":
                continue
            assert active[key] <= max(most), f"{active[key]} of {key} are active"
            self.free[key] = active[key] < part.max_active
            starts = range(row["next_index"])
            for index in starts:
                if part.period:
                    start = part.at(index)[0]
                elif (key[0], index + 1) in self._activations:
                    start = self._activations[key[0], index + 1]["scheduled_at"]
                else:
                    continue
                made = (*key, "", start)
                if row["deleted_before"] is not None and start < row["deleted_before"] and made not in state.at:
                    self.gone.add(made)  # perhaps within one step
                is_late = part.period == 0 and key[1] not in self.model(key[0], index + 1).parts
                assert made in state.at or made in self.gone or is_late, f"an interval was left out: {made}"
            if part.period and part.due(0) <= self.world.now:
                beyond = [k for k in state.at if k[:2] == key and k[3] >= part.at(row["next_index"])[0]]
                assert not beyond, f"made before its turn: {beyond}"

    @staticmethod
    def _key(row: Row) -> Key:
        return row["pipeline_id"], row["component"], row["node"], row["scheduled_start"]

    def _met(self, kind: str, key: Key) -> bool:
        producer = self.state.at.get(key)
        if producer is None:
            return kind != "resource" and (key in self.gone or self._is_left_out(key))
        if kind == "served":
            return producer["status"] in FINAL
        return producer["status"] in (("RUNNING",) if kind == "resource" else ("FINISHED", "SKIPPED"))

    def _is_left_out(self, key: Key) -> bool:
        """Whether the active version has no such interval, and the component stands at the end of its schedule."""
        part = self.model(key[0], self.state.pipelines[key[0]]["activation"]).parts[key[1]]
        has_ended = self.state.component[key[0], key[1]]["next_start"] is None
        return bool(part.period) and has_ended and key[3] >= part.at(part.count)[0]

    def _dependencies(self) -> None:
        """Rows agree with their producers, and with what the definition says."""
        state = self.state
        rows: dict[tuple[str, str], set[tuple[str, Key]]] = defaultdict(set)
        self.unserved: Counter[tuple[str, str]] = Counter()
        for row in state.dependencies:
            consumer = state.by_id.get((row["pipeline_id"], row["consumer"]))
            key = (row["pipeline_id"], row["producer"], row["producer_node"], row["producer_start"])
            rows[row["pipeline_id"], row["consumer"]].add((row["kind"], key))
            if consumer is None or consumer["status"] in FINAL:
                continue
            is_met = self._met(row["kind"], key)
            assert bool(row["met"]) == is_met, f"{dict(row)}, but {is_met=}"
            self.unserved[row["pipeline_id"], row["consumer"]] += row["kind"] == "served" and not is_met
        for instance in state.instances:
            if instance["status"] in FINAL or instance["family"] == "Resource":
                continue
            model, part = self.part(instance)
            said = {
                (kind, (instance["pipeline_id"], *key))
                for kind, key in model.waits(
                    part.id, instance["node"], instance["scheduled_start"], instance["scheduled_end"]
                )
            }
            written = rows[instance["pipeline_id"], instance["instance_id"]]
            assert said == written, f"{instance['instance_id']} waits for {said}, its rows say {written}"

    def unmet(self, row: Row) -> Iterator[tuple[str, Key]]:
        model, part = self.part(row)
        for kind, key in model.waits(part.id, row["node"], row["scheduled_start"], row["scheduled_end"]):
            if not self._met(kind, (row["pipeline_id"], *key)):
                yield kind, (row["pipeline_id"], *key)

    def _is_paused(self, row: Row) -> bool:
        names = [(row["pipeline_id"], name) for name in (row["node"], row["component"])]
        return any(self.state.component[name]["paused"] for name in names if name in self.state.component)

    def _progress(self) -> None:
        """What could go on has gone on, and what must fail has failed."""
        state = self.state
        for row in state.instances:
            identity, status = row["instance_id"], row["status"]
            if status in FINAL:
                continue
            is_going = state.pipelines[row["pipeline_id"]]["state"] in ("SCHEDULED", "FINISHED")
            if row["family"] == "Resource":
                unserved = self.unserved[row["pipeline_id"], identity]
                assert not is_going or bool(unserved) or status == S, f"nothing needs {identity}, which is {status}"
                continue
            if status != W:
                continue
            _, part = self.part(row)
            waits = list(self.unmet(row))
            producers = [(kind, key, state.at.get(key)) for kind, key in waits]
            if part.cascades:
                for kind, key, producer in producers:
                    has_failed = producer is not None and producer["status"] in BAD and kind != "resource"
                    assert not has_failed, f"{identity} waits for {key}, which has failed, in cascade mode"
            if not is_going or self._is_paused(row):
                continue
            assert bool(waits), f"{identity} waits for nothing, and does not go on"
            if all(kind == "resource" for kind, _ in waits):
                for _, key, producer in producers:
                    fine = producer is None or producer["status"] in (C, R, S)
                    assert fine, f"{identity} waits for {key} only, which is {producer and producer['status']}"

    def _pipelines(self) -> None:
        state = self.state
        for pipeline_id, row in state.pipelines.items():
            active = [
                i["instance_id"]
                for i in state.instances
                if i["pipeline_id"] == pipeline_id and i["status"] not in FINAL
            ]
            to_come = [
                c["component"]
                for c in state.components
                if c["pipeline_id"] == pipeline_id and c["next_start"] is not None
            ]
            backfills = [b for b in state.backfills if b["pipeline_id"] == pipeline_id]
            is_over = not active and not to_come and not backfills
            if row["state"] == "FINISHED":
                assert is_over, f"{pipeline_id} is FINISHED with {active=} {to_come=} {len(backfills)=}"
            if row["state"] == "SCHEDULED":
                assert not is_over, f"{pipeline_id} is SCHEDULED, but over"
            if row["state"] == "DEACTIVATING":
                assert bool(active), f"{pipeline_id} is DEACTIVATING, but nothing is active"

    def due_rows(self) -> dict[str, int | None]:
        """When the earliest row of each kind is due."""
        state, now = self.state, self.world.now
        going = {p for p, row in state.pipelines.items() if row["state"] in ("SCHEDULED", "FINISHED")}

        def first(moments: Iterator[int | None]) -> int | None:
            return min((moment for moment in moments if moment is not None), default=None)

        return {
            "lease": first(a["lease_until"] for a in state.attempts if a["status"] == R),
            "timeout": first(a["ends_at"] for a in state.attempts if a["status"] == R),
            "try": first(a["available_at"] for a in state.attempts if a["status"] == Q and a["available_at"] > now),
            "precondition": first(a["expires_at"] for a in state.attempts if a["status"] == Q),
            "late": first(i["late_at"] for i in state.instances if i["status"] not in FINAL),
            "backfill": first(b["due_at"] for b in state.backfills),
            "interval": first(self._next_interval(row) for row in state.components if row["pipeline_id"] in going),
        }

    def _next_interval(self, row: Row) -> int | None:
        """When the next interval of a component is to be made, if nothing holds it up."""
        key = (row["pipeline_id"], row["component"])
        model = self.model(key[0], self.state.pipelines[key[0]]["activation"])
        part = model.parts.get(key[1])
        if part is None or part.family == "Precondition" or row["paused"]:
            return None
        if not part.period:
            upcoming = self._activations.get((key[0], row["next_index"] + 1))
            return upcoming["scheduled_at"] if upcoming is not None and self.free[key] else None
        if row["next_index"] >= part.count:
            return None
        due = part.due(row["next_index"])
        start_at = self._activations[key[0], self.state.pipelines[key[0]]["activation"]]["start_at"]
        is_skipped = start_at is not None and part.at(row["next_index"])[0] < start_at
        return due if self.free[key] or due > self.world.now or is_skipped else None

    def _sleep(self, step: Step) -> None:
        """The engine's loop never sleeps past something due."""
        if self.world.is_failing:
            return
        until = self.world.engine._next_due
        for kind, due in self.due_rows().items():
            if due is None:
                continue
            assert until is not None and until <= max(due, 0), f"a {kind} is due at {due}, the loop sleeps to {until}"

    def _wakes(self) -> None:
        """A task runner that waits for a task is woken when there is one."""
        now = self.world.now
        if self.world.is_failing or (self.world.engine._next_due or now + 1) <= now:
            return
        for attempt in self.state.attempts:
            if (
                attempt["status"] == Q
                and attempt["available_at"] <= now
                and attempt["worker_group"] in self.world.asleep
            ):
                instance = self.state.by_id[attempt["pipeline_id"], attempt["instance_id"]]
                assert self._is_paused(instance), f"nobody was woken for {attempt['attempt_id']}"

    # now and then

    def check_reasons(self) -> None:
        """`why` has an answer for all that wait, and for nothing else."""
        with self.world.engine.reading() as turn:
            for row in self.state.instances:
                reasons = why(turn, read(Instance, row))
                waits = row["status"] not in FINAL and row["status"] != R
                assert bool(reasons) == waits, f"{row['instance_id']} is {row['status']}, because {reasons}"

    def check_end(self) -> None:
        """All is over: what is left is held up by something that failed, and `why` says so."""
        state = self.state
        self.check_reasons()
        for row in state.attempts:
            assert row["status"] != R, f"an attempt has no end: {dict(row)}"
        stuck = {key for key in state.at if self._is_stuck(key, ())}
        for key, row in state.at.items():
            if row["status"] not in FINAL:
                assert key in stuck, f"{key} is {row['status']} for no reason"
        for pipeline_id, row in state.pipelines.items():
            if row["activation"] and row["state"] != "DELETING" and not any(key[0] == pipeline_id for key in stuck):
                assert row["state"] == "FINISHED", f"{pipeline_id} is {row['state']}, not FINISHED"
        with self.world.engine.reading() as turn:
            for key in stuck:
                row = state.at[key]
                if row["family"] == "Resource":
                    continue
                said = " ".join(why(turn, read(Instance, row)))
                for _, waited in self.unmet(row):
                    assert f"@{waited[1]}_" in said, f"{key} waits for {waited}, and is said to: {said}"

    def _is_stuck(self, key: Key, above: tuple[Key, ...]) -> bool:
        """Whether an instance waits for one that has failed, perhaps by others that wait."""
        row = self.state.at.get(key)
        if key in above:
            return False
        if row is None:  # not made: its component has all of its places taken by others that are stuck
            others = [k for k, other in self.state.at.items() if k[:3] == key[:3] and other["status"] not in FINAL]
            return any(self._is_stuck(other, (*above, key)) for other in others)
        if row["status"] in FINAL:
            return False
        if row["family"] == "Resource":
            served = [
                (d["pipeline_id"], d["producer"], d["producer_node"], d["producer_start"])
                for d in self.state.dependencies
                if d["kind"] == "served" and d["pipeline_id"] == key[0] and d["consumer"] == row["instance_id"]
            ]
            return any(self._is_stuck(k, (*above, key)) for k in served)
        for _, waited in self.unmet(row):
            producer = self.state.at.get(waited)
            if (producer is not None and producer["status"] in BAD) or self._is_stuck(waited, (*above, key)):
                return True
        return False

    def check_commands(self) -> None:
        """A task has the values of the activation that its instance belongs to."""
        running = {row["task_id"] for row in self.state.attempts if row["status"] == R}
        for (number, attempt_id, _), task in self.world.held.items():
            command = task.field("command")
            row = self.state.by_id.get((self.world.pipes[number].id, task.instance_id))
            if command is None or row is None or task.task_id not in running or row["family"] != "Activity":
                continue
            values = json.loads(self._activations[row["pipeline_id"], row["activation"]]["parameter_values"])
            word = values.get("myWord", ["none"])[0]
            assert command == f"echo {word}", f"{attempt_id} runs {command}, its activation's word is {word}"
