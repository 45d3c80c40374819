"""COPY and UNLOAD as a real Redshift takes them."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.data.redshift.option_text import OptionError
from penstock.data.redshift.options import check_names
from penstock.settings import RedshiftSettings


def copy_statement(
    table: str, uri: str, options: Sequence[str], settings: RedshiftSettings, *, is_manifest: bool = False
) -> str:
    """COPY of a file, of the files with a prefix, or of those that a manifest names, into a table.

    The options are checked first, so that a wrong one is named before anything runs. Raises `OptionError`.
    """
    check_names(options, "COPY")
    parts = [f"COPY {table} FROM {_literal(uri)}", _authorization(settings), *options]
    if is_manifest and "MANIFEST" not in " ".join(options).upper().split():
        parts.append("MANIFEST")
    return " ".join([part for part in parts if part] + _region(options, settings))


def unload_statement(query: str, uri: str, options: Sequence[str], settings: RedshiftSettings) -> str:
    """UNLOAD of a query to files with a prefix. Raises `OptionError`."""
    check_names(options, "UNLOAD")
    parts = [f"UNLOAD ({_literal(query)}) TO {_literal(uri)}", _authorization(settings), *options]
    return " ".join([part for part in parts if part] + _region(options, settings))


def _authorization(settings: RedshiftSettings) -> str:
    if settings.iam_role is not None:
        return f"IAM_ROLE {_literal(settings.iam_role)}"
    if settings.access_key_id is not None and settings.secret_access_key is not None:
        keys = f"ACCESS_KEY_ID {_literal(settings.access_key_id)}"
        return f"{keys} SECRET_ACCESS_KEY {_literal(settings.secret_access_key)}"
    raise OptionError(
        "A Redshift cluster reads S3 by a role or by keys, and none are set."
        " Set iam_role, or access_key_id and secret_access_key, in [redshift] of penstock.toml."
    )


def _region(options: Sequence[str], settings: RedshiftSettings) -> list[str]:
    if settings.region is None or "REGION" in " ".join(options).upper().split():
        return []
    return [f"REGION {_literal(settings.region)}"]


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
