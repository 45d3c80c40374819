"""Access keys: made, stored with their secret encrypted."""

from __future__ import annotations

import secrets

from penstock.store.database import Transaction
from penstock.store.secrets import Secrets


def new_key() -> tuple[str, str]:
    """An access key id and a secret, in the lengths that AWS's have."""
    return "AKPS" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30)


def insert_key(
    tx: Transaction,
    master: Secrets,
    now: int,
    access_key: str,
    secret: str,
    *,
    role: str,
    name: str,
    owner: str,
    pipeline_id: str | None = None,
    worker_group: str | None = None,
) -> bool:
    """Store a key, limited to a pipeline and a worker group where they are given; False where the id is taken."""
    made = tx.execute(
        "insert_key",
        access_key=access_key,
        secret=master.encrypt(secret),
        role=role,
        name=name,
        owner=owner,
        pipeline_id=pipeline_id,
        worker_group=worker_group,
        created_at=now,
    )
    return made == 1
