"""The task runner: polls, sends heartbeats, runs tasks, stages data, keeps logs; an ordinary client over HTTP."""
