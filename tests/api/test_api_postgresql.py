"""The same service on a store in PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import boto3_task_runner
import psycopg
import pytest
from api_service import ON_DEMAND, running, shell

from penstock.wire.errors import ServiceError

TOKEN = "#{*myToken}"


def test_a_pipeline_runs_to_its_end_on_postgresql(tmp_path: Path, postgresql_url: str, group: str):
    with contextmanager(running)(tmp_path / "data", "long_poll = 1", store=postgresql_url) as api:
        pipeline_id = api.pipeline(
            ON_DEMAND | {"*myToken": "hunter2-in-a-field"},
            {"id": "Holds", "type": "ShellCommandPrecondition", "command": "true"},
            shell(
                "First", group, precondition={"ref": "Holds"}, command="printf %s '#{*myToken}' | wc -c | grep -qx 18"
            ),
            shell("Second", group, dependsOn={"ref": "First"}, command="exit 1"),
            shell("Third", group, dependsOn={"ref": "Second"}),
        )
        with ThreadPoolExecutor(1) as threads:
            runner = threads.submit(boto3_task_runner.work, api.client(api.key(workerGroup=group)), group)
            api.until_waiting(group)
            api.boto.activate_pipeline(pipelineId=pipeline_id)
            assert len(runner.result(20)) == 3
        assert [api.status(pipeline_id, name) for name in ("First", "Second", "Third")] == [
            "FINISHED",
            "FAILED",
            "CASCADE_FAILED",
        ]
        both = [api.instance(pipeline_id, name) for name in ("Second", "Third")]
        api.boto.set_status(pipelineId=pipeline_id, objectIds=both, status="RERUN")
        assert api.poll(group)["attemptId"] == f"{both[0]}_Attempt=2"
        assert api.ids(pipeline_id, "INSTANCE", ("@status", "EQ", ["RUNNING"])) == [both[0]]
        api.boto.deactivate_pipeline(pipelineId=pipeline_id)
        with pytest.raises(ServiceError, match="regular expression"):
            api.own.call("CreateKey", role="admin", name="a\0b")
        with pytest.raises(api.boto.exceptions.InvalidRequestException, match="no version"):
            api.boto.get_pipeline_definition(pipelineId=pipeline_id, version="9" * 30)
        with psycopg.connect(postgresql_url) as connection:
            tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            stored = [connection.execute(f'SELECT * FROM "{table}"').fetchall() for (table,) in tables]
        assert "First" in str(stored)
        assert "hunter2" not in str(stored)
        api.boto.delete_pipeline(pipelineId=pipeline_id)
