"""S3DataNode."""

from __future__ import annotations

from typing import Literal

from penstock.data.copy import FileSide
from penstock.data.datasets import Dataset, file_dataset
from penstock.data.storage import Storage, StorageError, parse_uri, without_keys
from penstock.definition.model import PipelineObject
from penstock.definition.problems import Problem
from penstock.definition.slots import slot
from penstock.objects.families import DataFormat, DataNode
from penstock.objects.work import Work, WorkFailed


class S3DataNode(DataNode):
    """A file or a directory in object storage."""

    icon = "bucket"

    file_path: str | None = slot("The S3 URI of a file.", one_of="path", at_most_one=True)
    directory_path: str | None = slot("The S3 URI of a directory.", one_of="path", at_most_one=True)
    manifest_file_path: str | None = slot("The S3 URI of a Redshift manifest.", one_of="path", at_most_one=True)
    data_format: DataFormat | None = slot("How rows are written; CSV where a copy needs rows and none is given.")
    compression: Literal["none", "gzip", "zstd"] = slot(
        "How files are compressed; zstd is an extension.", default="none"
    )
    s3_encryption_type: Literal["SERVER_SIDE_ENCRYPTION", "NONE"] = slot(
        "Whether what is written asks S3 to encrypt it: AWS, and others if [storage] says how.",
        default="SERVER_SIDE_ENCRYPTION",
    )

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """Paths that are written out must be URIs; a warning, since the real service looks at them only at run time."""
        problems = super().check(obj)
        for key in ("filePath", "directoryPath", "manifestFilePath"):
            text = obj.text(key)
            if text is None or "#{" in text:
                continue
            try:
                parse_uri(text)
            except StorageError as error:
                problems.append(
                    Problem(obj.id, key, f"'{key}' will not work: {error}", value=without_keys(text), is_warning=True)
                )
        return problems

    def directory_uri(self) -> str:
        """The prefix that the directory's keys begin with: directoryPath with a slash at its end."""
        return (self.directory_path or "").rstrip("/") + "/"

    def storage(self, work: Work) -> Storage:
        """The storage for what is written to the node: asked to encrypt, unless s3EncryptionType is NONE."""
        return work.storage.encrypted() if self.s3_encryption_type == "SERVER_SIDE_ENCRYPTION" else work.storage

    def exists(self, work: Work) -> bool:
        """Whether the file is there, or the directory holds anything."""
        if self.file_path is not None:
            return work.storage.exists(self.file_path)
        return next(iter(work.storage.list(self.directory_uri())), None) is not None

    def side(self, work: Work) -> FileSide:
        """The files as one side of a copy."""
        if self.manifest_file_path is not None:
            raise WorkFailed(f"'{self.name}' has a manifestFilePath, which only RedshiftCopyActivity can read.")
        is_directory = self.file_path is None
        return FileSide(
            storage=self.storage(work),
            uri=self.directory_uri() if is_directory else str(self.file_path),
            is_directory=is_directory,
            format=self.data_format.format() if self.data_format is not None else None,
            compression=self.compression,
            longest_record=work.data.longest_record,
        )

    def dataset(self, work: Work) -> Dataset | None:
        """The file, the directory or the manifest by its URI."""
        return file_dataset(self.file_path or self.manifest_file_path or self.directory_uri())
