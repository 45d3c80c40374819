"""Secrets at rest: the master key, and the encryption of single values (Fernet: AES-128-CBC with HMAC-SHA256)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.definition.model import (
    Definition,
    FieldValue,
    ParameterObject,
    PipelineObject,
    Values,
    is_secret,
)

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

    from penstock.store.database import Store

MASK = "*****"
SECRET_ATTRIBUTES = ("default", "allowedValues")  # of a secret parameter
ENVIRONMENT = "PENSTOCK_MASTER_KEY"
_MARK = "encrypted:"
_FERNET = "gAAAA"  # what every Fernet token begins with: its version, and a time of this century
_CANARY = "master key"


class MasterKeyError(Exception):
    """The master key is missing, unreadable or wrong."""


class Secrets:
    """Encrypts with the master key: `$PENSTOCK_MASTER_KEY`, else the file `master.key`, which is made when missing.

    Either may hold several keys, separated by white space, while one takes the place of another: the first one
    encrypts, all of them decrypt.
    """

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "master.key"

    @cached_property
    def _fernet(self) -> MultiFernet:
        from cryptography.fernet import Fernet, MultiFernet

        try:
            return MultiFernet([Fernet(key) for key in self.keys()])
        except ValueError as error:
            raise MasterKeyError(f"The master key is no Fernet key (32 bytes in base64): {error}.") from error

    def keys(self) -> list[str]:
        """The master keys, that which encrypts first; the file is made when it is missing."""
        return (os.environ.get(ENVIRONMENT, "").strip() or self._read()).split()

    @property
    def is_given(self) -> bool:
        """Whether there is a master key, in the environment or in the file."""
        return bool(os.environ.get(ENVIRONMENT, "").strip()) or self.path.exists()

    def _read(self) -> str:
        if not self.path.exists():
            from cryptography.fernet import Fernet

            descriptor, name = tempfile.mkstemp(prefix="master.key.", dir=self.path.parent)  # for its owner only
            made = Path(name)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(Fernet.generate_key())
            try:
                os.link(made, self.path)  # the first of several wins
            except FileExistsError:
                pass
            finally:
                made.unlink()
        return self.path.read_text(encoding="ascii").strip()

    def tie(self, store: Store) -> None:
        """Have a new store know the master key, and refuse a store that knows another one: raises MasterKeyError."""
        with store.snapshot() as tx:
            row = tx.one("metadata_by_name", name=_CANARY)
        if row is None:
            with store.transaction() as tx:
                tx.execute("insert_metadata", name=_CANARY, value=self.encrypt(_CANARY))
                row = tx.one("metadata_by_name", name=_CANARY)
        assert row is not None
        remedy = f"Put back the file {self.path} that belongs to the store, or give its key in ${ENVIRONMENT}."
        is_given = bool(os.environ.get(ENVIRONMENT, "").strip())
        if not is_given and not self.path.exists():
            raise MasterKeyError(f"The store's secrets need their master key, and there is none. {remedy}")
        try:
            self.reveal(row["value"])
        except MasterKeyError as error:
            where = f"in ${ENVIRONMENT}" if is_given else f"in {self.path}"
            raise MasterKeyError(f"The master key {where} is not the one of the store's secrets. {remedy}") from error

    def encrypt(self, text: str) -> str:
        """The form in which a secret is stored."""
        return _MARK + self._fernet.encrypt(text.encode()).decode("ascii")

    def encrypt_again(self, stored: str) -> str:
        """The same secret, encrypted with the first key; unchanged if it is already, or is no secret of ours."""
        from cryptography.fernet import Fernet, InvalidToken

        if not stored.startswith(_MARK + _FERNET):  # what a user wrote may look a little like it
            return stored
        try:
            Fernet(self.keys()[0]).decrypt(stored[len(_MARK) :])
        except InvalidToken:
            return self.encrypt(self.reveal(stored))
        return stored

    def reveal(self, stored: str) -> str:
        """The secret itself; a text that is not encrypted comes back as it is."""
        if not stored.startswith(_MARK):
            return stored
        from cryptography.fernet import InvalidToken

        try:
            return self._fernet.decrypt(stored[len(_MARK) :].encode()).decode()
        except InvalidToken as error:
            raise MasterKeyError("The master key is not the one that this secret was encrypted with.") from error

    def encrypt_definition(self, definition: Definition, earlier: Definition | None) -> Definition:
        """Encrypt every secret; `*****` stands for the value that the earlier version has."""

        def seal(values: tuple[FieldValue, ...], before: tuple[FieldValue, ...]) -> tuple[FieldValue, ...]:
            if values == (MASK,) and before:
                return before
            return tuple(self.encrypt(value) if isinstance(value, str) else value for value in values)

        objects = {}
        for identity, obj in definition.objects.items():
            old = earlier.objects.get(identity) if earlier else None
            if not has_secrets(obj):
                objects[identity] = obj
                continue
            objects[identity] = replace(
                obj,
                fields={
                    key: seal(values, old.fields.get(key, ()) if old else ()) if is_secret(key) else values
                    for key, values in obj.fields.items()
                },
            )
        return replace(
            definition,
            objects=objects,
            parameters={
                identity: self._seal_parameter(parameter, earlier)
                for identity, parameter in definition.parameters.items()
            },
            values=self.encrypt_values(definition.values, earlier.values if earlier else {}),
        )

    def _seal_parameter(self, parameter: ParameterObject, earlier: Definition | None) -> ParameterObject:
        if not is_secret(parameter.id):
            return parameter
        old = earlier.parameters.get(parameter.id) if earlier else None
        attributes = dict(parameter.attributes)
        for key in SECRET_ATTRIBUTES:
            if key in attributes:
                before = {parameter.id: old.attributes[key]} if old and key in old.attributes else {}
                attributes[key] = self.encrypt_values({parameter.id: attributes[key]}, before)[parameter.id]
        return ParameterObject(parameter.id, attributes)

    def encrypt_values(self, values: Values, earlier: Values) -> dict[str, tuple[str, ...]]:
        """Encrypt the values of secret parameters; `*****` stands for the earlier value."""
        sealed: dict[str, tuple[str, ...]] = {}
        for identity, entries in values.items():
            if not is_secret(identity):
                sealed[identity] = entries
            elif entries == (MASK,) and identity in earlier:
                sealed[identity] = earlier[identity]
            else:
                sealed[identity] = tuple(self.encrypt(entry) for entry in entries)
        return sealed

    def reveal_values(self, values: Values) -> dict[str, tuple[str, ...]]:
        """Parameter values with secrets in clear, for checks; never for an answer."""
        return {
            key: tuple(self.reveal(entry) for entry in entries) if is_secret(key) else entries
            for key, entries in values.items()
        }

    def reveal_definition(self, definition: Definition) -> Definition:
        """The definition as it was put, for checks; never for an answer."""
        objects = {identity: self._reveal_object(obj) for identity, obj in definition.objects.items()}
        parameters = {
            identity: ParameterObject(
                identity,
                {
                    key: tuple(self.reveal(v) for v in entries) if key in SECRET_ATTRIBUTES else entries
                    for key, entries in parameter.attributes.items()
                },
            )
            if is_secret(identity)
            else parameter
            for identity, parameter in definition.parameters.items()
        }
        return replace(definition, objects=objects, parameters=parameters, values=self.reveal_values(definition.values))

    def _reveal_object(self, obj: PipelineObject) -> PipelineObject:
        if not has_secrets(obj):
            return obj
        fields = dict(obj.fields)
        for key, values in obj.fields.items():
            if is_secret(key):
                fields[key] = tuple(self.reveal(value) if isinstance(value, str) else value for value in values)
        return replace(obj, fields=fields)


def masked(definition: Definition) -> Definition:
    """The definition with `*****` for every secret, as it is shown to everybody."""
    return replace(
        definition,
        objects={identity: masked_object(obj) for identity, obj in definition.objects.items()},
        parameters={
            identity: ParameterObject(
                identity,
                {key: (MASK,) if key in SECRET_ATTRIBUTES else value for key, value in parameter.attributes.items()},
            )
            if is_secret(identity)
            else parameter
            for identity, parameter in definition.parameters.items()
        },
        values=masked_values(definition.values),
    )


def has_secrets(obj: PipelineObject) -> bool:
    """Whether a field of the object is secret."""
    return any(map(is_secret, obj.fields))


def masked_object(obj: PipelineObject) -> PipelineObject:
    """The object with `*****` for every secret."""
    if not has_secrets(obj):
        return obj
    return replace(obj, fields={k: (MASK,) if is_secret(k) else v for k, v in obj.fields.items()})


def masked_values(values: Values) -> Mapping[str, tuple[str, ...]]:
    """Parameter values with `*****` for every secret."""
    return {identity: (MASK,) if is_secret(identity) else entries for identity, entries in values.items()}
