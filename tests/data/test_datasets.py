"""What data is called in lineage: OpenLineage's names, and addresses without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.data.databases import Address, parse_connection_string
from penstock.data.datasets import file_dataset, table_dataset


@pytest.mark.parametrize(
    ("uri", "namespace", "name"),
    [
        ("s3://b/d/f.csv", "s3://b", "d/f.csv"),
        ("s3://b/d/e/", "s3://b", "d/e"),
        ("s3://b/", "s3://b", "/"),
        ("s3://b/a//part#1", "s3://b", "a//part#1"),
    ],
)
def test_files_are_named_by_bucket_and_key(uri: str, namespace: str, name: str) -> None:
    found = file_dataset(uri)
    assert (found.namespace, found.name, found.uri, found.source_uri) == (namespace, name, uri, namespace)


@pytest.mark.parametrize(
    ("url", "table", "schema", "namespace", "name", "uri"),
    [
        (
            "jdbc:postgresql://me:hush@db.example.com/shop?sslmode=require",
            "sales",
            None,
            "postgres://db.example.com:5432",
            "shop.public.sales",
            "postgresql://db.example.com/shop#sales",
        ),
        (
            "postgresql://db:6000/shop",
            '"Old"."Sales"',
            None,
            "postgres://db:6000",
            "shop.Old.Sales",
            "postgresql://db:6000/shop#Old.Sales",
        ),
        (
            "postgresql://one,two:6000/shop",
            "sales",
            "eu",
            "postgres://one:5432",
            "shop.eu.sales",
            "postgresql://one,two:6000/shop#eu.sales",
        ),
        ("postgresql:///shop", "t", None, "postgres://localhost:5432", "shop.public.t", "postgresql:///shop#t"),
    ],
)
def test_tables_of_postgresql_have_a_database_and_a_schema(
    url: str, table: str, schema: str | None, namespace: str, name: str, uri: str, tmp_path: Path
) -> None:
    found = table_dataset(parse_connection_string(url, folder=tmp_path), table, schema)
    assert (found.namespace, found.name) == (namespace, name)
    assert "hush" not in repr(found)
    assert found.source_uri + "#" + uri.rpartition("#")[2] == found.uri


def test_tables_of_mysql_have_no_schema() -> None:
    found = table_dataset(Address("mysql", "db", "", "shop", "me", "hush"), "sales")
    assert (found.namespace, found.name) == ("mysql://db:3306", "shop.sales")


def test_a_database_behind_a_socket_is_on_this_machine() -> None:
    found = table_dataset(Address("postgresql", "/run/folder", "", "shop"), "sales")
    assert found.namespace == "postgres://localhost:5432"


def test_a_database_that_is_a_file_is_its_own_namespace(tmp_path: Path) -> None:
    found = table_dataset(parse_connection_string("jdbc:sqlite:x.db", folder=tmp_path), "sales")
    assert (found.namespace, found.name) == (f"sqlite:{tmp_path}/x.db", "sales")
    assert found.uri == f"sqlite:{tmp_path}/x.db#sales"
