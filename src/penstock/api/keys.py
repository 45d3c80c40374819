"""Operations on access keys, of the service model `penstock`."""

from __future__ import annotations

from penstock.api.call import Answer, Call, Request, invalid
from penstock.api.roles import SYSTEM
from penstock.clock import from_ms
from penstock.engine.plan import SYSTEM_GROUP, resource_of_group
from penstock.store.keys import insert_key, new_key
from penstock.store.rows import AccessKey, read_all


def create_key(call: Call, request: Request) -> Answer:
    """Make an access key, or take one that scripts already use (its secret is not shown again)."""
    group = request.get("workerGroup")
    if group is not None and (group == SYSTEM_GROUP or resource_of_group(group) is not None):
        raise invalid(f"The worker group '{group}' is the service's own; give another.")
    if group is not None and request["role"] != "runner":
        raise invalid("A worker group limits a key of the role runner; leave it out for other roles.")
    access_key, secret = request.get("accessKeyId"), request.get("secretAccessKey")
    if (access_key is None) != (secret is None):
        raise invalid("Give both accessKeyId and secretAccessKey, or neither.")
    is_given = secret is not None
    if access_key is None or secret is None:
        access_key, secret = new_key()
    with call.engine.turn() as turn:
        made = insert_key(
            turn.tx,
            call.engine.secrets,
            turn.now,
            access_key,
            secret,
            role=request["role"],
            name=request.get("name", ""),
            owner=call.key.owner,
            worker_group=group,
        )
        if not made:
            raise invalid(f"There is a key {access_key} already; give another, or none to have one made.")
    return {"accessKeyId": access_key, **({} if is_given else {"secretAccessKey": secret})}


def list_keys(call: Call, request: Request) -> Answer:
    """All access keys that people made."""
    with call.engine.reading() as turn:
        keys = [k for k in read_all(AccessKey, turn.tx.all("keys")) if not k.pipeline_id and k.owner == call.key.owner]
    return {
        "keys": [
            {
                "accessKeyId": key.access_key,
                "name": key.name,
                "role": key.role,
                "workerGroup": key.worker_group,
                "creationTime": from_ms(key.created_at),
                "revocationTime": from_ms(key.revoked_at) if key.revoked_at is not None else None,
            }
            for key in keys
            if key.role != SYSTEM
        ]
    }


def revoke_key(call: Call, request: Request) -> Answer:
    """Make a key worthless; its record stays."""
    with call.engine.turn() as turn:
        row = turn.tx.one("key_by_id", access_key=request["accessKeyId"])
        if row is None or row["role"] == SYSTEM or row["owner"] != call.key.owner:
            raise invalid(f"There is no key {request['accessKeyId']}; `penstock keys list` shows all.")
        if row["revoked_at"] is None:
            turn.tx.execute("revoke_key", access_key=request["accessKeyId"], now=turn.now)
    return {}
