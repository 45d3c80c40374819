"""RedshiftCopyActivity."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

from penstock.data.databases import Address, Database, connect
from penstock.definition.slots import slot
from penstock.objects.data_nodes.dynamodb_data_node import DynamoDBDataNode
from penstock.objects.data_nodes.redshift_data_node import RedshiftDataNode
from penstock.objects.data_nodes.s3_data_node import S3DataNode
from penstock.objects.data_nodes.sql_data_node import SqlDataNode
from penstock.objects.families import Activity
from penstock.objects.lineage import between
from penstock.objects.work import Work, WorkFailed

if TYPE_CHECKING:
    from penstock.data.copy import FileSide
    from penstock.data.redshift.load import Files
    from penstock.data.redshift.merge import Target
    from penstock.data.redshift.options import Options

Moved = tuple[int | None, int | None]
"""Rows and bytes; None where the cluster moved them and did not say."""


class RedshiftCopyActivity(Activity):
    """Loads S3 files or a table into Amazon Redshift, or unloads a Redshift table to S3."""

    icon = "copy"

    insert_mode: Literal["KEEP_EXISTING", "OVERWRITE_EXISTING", "TRUNCATE", "APPEND"] = slot(
        "What happens to rows that are there: those with the same keys stay or are replaced, all go, or all stay."
    )
    command_options: list[str] = slot("Options of Redshift's COPY or UNLOAD; not used with a data format.")
    input: list[S3DataNode | DynamoDBDataNode | RedshiftDataNode | SqlDataNode] = slot(  # type: ignore[assignment]
        "The data that is read.", one_of="source"
    )
    output: list[S3DataNode | RedshiftDataNode] = slot(  # type: ignore[assignment]
        "The data that is written.", one_of="target"
    )
    queue: str | None = slot("The query group of Redshift.")
    transform_sql: str | None = slot("A SELECT from the table `staging`, which the input is loaded into first.")

    def run(self, work: Work) -> None:
        """Copy the one input to the one output."""
        from penstock.data.redshift.load import LoadError
        from penstock.data.redshift.option_text import OptionError

        if len(self.input) != 1 or len(self.output) != 1:
            raise WorkFailed("RedshiftCopyActivity needs one input and one output.")
        source, target = self.input[0], self.output[0]
        work.log(f"Copying {source.id} to {target.id}")
        began = monotonic()
        try:
            if isinstance(target, RedshiftDataNode):
                rows, size = self._load(work, source, target)
            elif isinstance(source, RedshiftDataNode):
                rows, size = self._unload(work, source, target)
            else:
                raise WorkFailed("RedshiftCopyActivity needs a RedshiftDataNode as its input or its output.")
        except OptionError as error:
            raise WorkFailed(f"commandOptions: {error}") from error
        except LoadError as error:
            raise WorkFailed(str(error)) from error
        work.record(between(work, source, target, rows=rows, bytes=size, seconds=monotonic() - began))
        counted = "" if rows is None else f" {rows:,} rows"
        work.log(f"Copied{counted}" if counted else "The cluster has copied the data")

    def _load(self, work: Work, source: object, node: RedshiftDataNode) -> Moved:
        from penstock.data.redshift.merge import Target, copy_into

        target = Target(node.table_name, node.schema, node.create_table_sql, tuple(node.primary_keys))
        address = node.database.address(work)
        if address.dialect == "redshift":
            return self._load_cluster(work, source, target, address)
        self._tell_of_queue(work)
        with connect(address) as database:
            rows = self._rows(work, source, address)
            columns = _file_columns(source) if isinstance(source, S3DataNode) else ()
            made = copy_into(
                database,
                target,
                self.insert_mode,
                rows,
                transform_sql=self.transform_sql,
                file_columns=columns,
                progress=lambda rows, size: work.progress(rows=rows, bytes=size),
            )
        for problem in made.problems:
            work.log(f"Not loaded: {problem}")
        if made.rejected:
            work.log(f"{made.rejected} rows were not loaded, as MAXERROR allows")
        return made.rows, made.bytes or None

    def _rows(self, work: Work, source: object, address: Address) -> Files | str:
        """What is loaded: files, or a query of the same database; other tables go through a file of the attempt."""
        if isinstance(source, S3DataNode):
            return self._files(work, source)
        if isinstance(source, DynamoDBDataNode):
            raise WorkFailed("A DynamoDBDataNode cannot be loaded yet. Export it to S3 first.")
        assert isinstance(source, RedshiftDataNode | SqlDataNode)
        if isinstance(source, RedshiftDataNode) and source.database.address(work) == address:
            from penstock.data.redshift.catalog import describe

            with connect(address) as database:
                found = describe(database, source.table_name, source.schema)
            return f"SELECT * FROM {found.name}"  # noqa: S608
        return _staged(work, source)

    def _files(self, work: Work, node: S3DataNode) -> Files:
        from penstock.data.formats import CSV
        from penstock.data.manifests import manifest_objects
        from penstock.data.redshift.load import Files, prefix_uris
        from penstock.data.redshift.options import Options, parse_copy

        options, chosen = Options(), None
        if node.data_format is not None:
            chosen = node.data_format.format()
            self._tell_of_options(work)
        elif self.command_options:
            options = parse_copy(self.command_options)
            if node.compression == "gzip" and options.compression == "none":
                options.compression = "gzip"
        else:
            chosen = CSV()
        manifest = node.manifest_file_path or (node.file_path if options.manifest else None)
        if manifest is not None:
            uris = tuple([entry.uri for entry in manifest_objects(work.storage, manifest)])
        elif node.file_path is None:
            uris = prefix_uris(work.storage, node.directory_uri())
        elif work.storage.exists(node.file_path):
            uris = (node.file_path,)
        else:
            uris = prefix_uris(work.storage, node.file_path)
        return Files(work.storage, uris, options, chosen, node.compression, work.data.longest_record)

    def _unload(self, work: Work, source: RedshiftDataNode, node: S3DataNode) -> Moved:
        from penstock.data.copy import copy
        from penstock.data.redshift.options import parse_unload
        from penstock.data.redshift.unload import unload

        if node.manifest_file_path is not None:
            raise WorkFailed(f"'{node.name}' has a manifestFilePath, which cannot be written. Give a directoryPath.")
        if self.transform_sql is not None:
            raise WorkFailed("transformSql belongs to loading. Make a view of it in Redshift, and unload that.")
        side = source.side(work)
        prefix = node.file_path or node.directory_uri()
        if side.address.dialect == "redshift":
            return self._unload_cluster(work, source, node, side.address, prefix)
        self._tell_of_queue(work)
        if node.data_format is not None or not self.command_options:
            if node.data_format is not None:
                self._tell_of_options(work)
            self._refuse_existing(work, node, prefix)
            result = copy(side, node.side(work), work.progress, wait=work.pause)
            return result.rows, result.bytes
        options = self._unload_options(parse_unload(self.command_options), node)
        with connect(side.address) as database:
            made = unload(
                lambda: database.select_table(side.table, side.schema),
                work.storage,
                prefix,
                options,
                is_file=node.file_path is not None,
                progress=lambda rows, size: work.progress(rows=rows, bytes=size),
            )
        return made.rows, made.bytes

    def _unload_options(self, options: Options, node: S3DataNode) -> Options:
        compression = "gzip" if node.compression == "gzip" and options.compression == "none" else options.compression
        overwrites = options.allow_overwrite or self._overwrites
        return replace(options, compression=compression, allow_overwrite=overwrites)

    @property
    def _overwrites(self) -> bool:
        """Whether files may be written over."""
        return self.insert_mode in ("TRUNCATE", "OVERWRITE_EXISTING")

    def _refuse_existing(self, work: Work, node: S3DataNode, prefix: str) -> None:
        if self._overwrites:
            return
        found = next((entry for entry in work.storage.list(prefix) if entry.size), None)
        if found is not None and (node.file_path is None or found.uri == prefix):
            raise WorkFailed(
                f"{found.uri} is there already, and insertMode {self.insert_mode} writes over nothing."
                " Use TRUNCATE or OVERWRITE_EXISTING, or another path."
            )

    def _load_cluster(self, work: Work, source: object, target: Target, address: Address) -> Moved:
        from penstock.data.redshift import cluster

        with self._copying(work, source) as copying, connect(address) as database, database.transaction():
            self._set_queue(database)
            if target.create_table_sql is not None:
                database.create_table(target.create_table_sql, target.table, target.schema)
            found = cluster.describe(database, target.table, target.schema)
            for statement in cluster.merge_statements(self.insert_mode, target, found, [copying], self.transform_sql):
                work.check_stopped()
                database.execute_script(statement)
        return None, None

    @contextmanager
    def _copying(self, work: Work, source: object) -> Iterator[str]:
        """The COPY of files that are in S3, or of a table's rows that are there meanwhile."""
        from penstock.data.copy import FileSide
        from penstock.data.formats import TSV
        from penstock.data.redshift.cluster import format_options
        from penstock.data.redshift.merge import STAGING
        from penstock.data.redshift.statements import copy_statement
        from penstock.data.storage import StorageError

        if isinstance(source, S3DataNode):
            if source.data_format is not None:
                self._tell_of_options(work)
            options = self._cluster_options(source)
            uri = source.manifest_file_path or source.file_path or source.directory_uri()
            is_manifest = source.manifest_file_path is not None
            yield copy_statement(STAGING, uri, options, work.redshift, is_manifest=is_manifest)
            return
        if not isinstance(source, RedshiftDataNode | SqlDataNode) or work.redshift.staging is None:
            raise WorkFailed(
                "A Redshift cluster loads from S3 alone. Name a place there for tables on their way, such as"
                " staging = 's3://bucket/staging' in [redshift] of penstock.toml, or copy the data to S3 first."
            )
        uri = f"{work.redshift.staging.rstrip('/')}/{uuid4()}.tsv.gz"
        statement = copy_statement(STAGING, uri, format_options(TSV(), "gzip"), work.redshift)
        try:
            _copied(work, source, FileSide(work.storage, uri, format=TSV(), compression="gzip"))
            yield statement
        finally:
            try:
                work.storage.delete(uri)
            except StorageError as error:  # the rows may be loaded, and must not be loaded again
                work.log(f"{uri} was left behind: {error}")

    def _unload_cluster(
        self, work: Work, source: RedshiftDataNode, node: S3DataNode, address: Address, prefix: str
    ) -> Moved:
        from penstock.data.redshift import cluster
        from penstock.data.redshift.statements import unload_statement

        if node.file_path is not None:
            raise WorkFailed("A Redshift cluster gives its files names of its own. Give a directoryPath.")
        if node.data_format is not None:
            self._tell_of_options(work)
        options = self._cluster_options(node)
        if self._overwrites and "ALLOWOVERWRITE" not in " ".join(options).upper():
            options = [*options, "ALLOWOVERWRITE"]
        with connect(address) as database:
            self._set_queue(database)
            found = cluster.describe(database, source.table_name, source.schema)
            query = f"SELECT * FROM {found.name}"  # noqa: S608
            database.execute_script(unload_statement(query, prefix, options, work.redshift))
        return None, None

    def _cluster_options(self, node: S3DataNode) -> list[str]:
        from penstock.data.redshift.cluster import format_options

        if node.data_format is None and self.command_options:
            gzip = node.compression == "gzip" and "GZIP" not in " ".join(self.command_options).upper()
            return [*self.command_options, *(["GZIP"] if gzip else [])]
        chosen = node.data_format.format() if node.data_format is not None else None
        return format_options(chosen, node.compression)

    def _set_queue(self, database: Database) -> None:
        if self.queue is not None:
            group = self.queue.replace("'", "''")
            database.execute_script(f"SET query_group TO '{group}'")

    def _tell_of_queue(self, work: Work) -> None:
        if self.queue is not None:
            work.log(f"The queue {self.queue} has no meaning here: the database is no Redshift")

    def _tell_of_options(self, work: Work) -> None:
        if self.command_options:
            work.log("commandOptions are not used, as the data node has a data format")


def _file_columns(node: S3DataNode) -> tuple[tuple[str, str], ...]:
    from penstock.data.formats import parse_columns

    if node.data_format is None:
        return ()
    return tuple((column.name, column.type) for column in parse_columns(node.data_format.column))


def _staged(work: Work, source: RedshiftDataNode | SqlDataNode) -> Files:
    """The rows of a table of another database, as a file of the attempt."""
    from penstock.data.copy import FileSide
    from penstock.data.formats import TSV
    from penstock.data.local_folder import LocalFolder
    from penstock.data.redshift.load import Files
    from penstock.data.redshift.options import Options

    storage = LocalFolder(work.folder / "staging")
    uri = "s3://staging/rows.tsv"
    _copied(work, source, FileSide(storage, uri, format=TSV()))
    return Files(storage, (uri,), Options(), TSV())


def _copied(work: Work, source: RedshiftDataNode | SqlDataNode, target: FileSide) -> None:
    from penstock.data.copy import copy

    side = replace(source.side(work), insert_query=None)
    copy(side, target, lambda *, rows, bytes: work.check_stopped(), wait=work.pause)
