"""A task runner in forty lines, on nothing but boto3: what anybody can write against the service."""

from __future__ import annotations

import subprocess
from typing import Any


def work(client: Any, worker_group: str) -> list[str]:
    """Work for a worker group until a poll comes back empty; gives the attempts that were worked on."""
    worked: list[str] = []
    while task := client.poll_for_task(workerGroup=worker_group, hostname="a-laptop").get("taskObject"):
        worked.append(task["attemptId"])
        fields: dict[str, list[str]] = {}
        for field in task["objects"][task["attemptId"]]["fields"]:
            fields.setdefault(field["key"], []).append(field.get("stringValue", field.get("refValue", "")))
        if client.report_task_progress(taskId=task["taskId"])["canceled"]:
            continue
        arguments = ["sh", "-c", fields["command"][0], "command", *fields.get("scriptArgument", [])]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
        elif fields["type"] == ["ShellCommandPrecondition"]:
            client.set_task_status(taskId=task["taskId"], taskStatus="FALSE")
        else:
            client.set_task_status(
                taskId=task["taskId"],
                taskStatus="FAILED",
                errorId="ActivityFailed:Command",
                errorMessage=f"The command ended with {done.returncode}.",
                errorStackTrace=done.stderr[-1000:],
            )
    return worked
