"""The bytes of one object between here and an S3 endpoint: read with resumption, and written in parts."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from penstock.data.object_streams import MIB
from penstock.data.s3_client import S3Client
from penstock.data.storage import NoSuchKey, ObjectChanged, StorageError


class S3Read:
    """The reading of one object: what breaks off is asked for again, as long as it is the same object."""

    def __init__(self, s3: S3Client, uri: str, where: dict[str, str], attempts: int) -> None:
        self._s3, self._uri, self._where, self._attempts = s3, uri, where, attempts
        self._etag: str | None = None
        self._until = 0
        self._kept: tuple[int, Any] | None = None  # an answer that goes on, and where
        self.size = 0

    def begin(self, start: int, end: int, until: int | None) -> bytearray:
        """Fetch what there is of these bytes, and learn what object it is.

        With an `until` beyond the end, or None, which is the object's end, `fetch` goes on with the same answer; it
        must then be asked for one piece after another.
        """
        from botocore.exceptions import ClientError  # type: ignore[import-untyped]

        wanted = f"bytes={start}-" + ("" if until is None else str(max(start, until - 1)))
        with self._s3.errors(self._uri, "GetObject"):
            try:
                answer = self._s3.client.get_object(**self._where, Range=wanted)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in ("InvalidRange", "416"):
                    raise
                self.size = start  # nothing at or behind it
                return bytearray()
        self._etag = answer.get("ETag")
        told = str(answer.get("ContentRange", "")).rpartition("/")[2]
        self.size = int(told) if told.isdigit() else answer["ContentLength"]
        self._until = self.size if until is None else min(until, self.size)
        length = max(0, min(end, self.size) - start)
        data = bytearray()
        self._pour(answer["Body"], data, start, length)
        return self._rest(data, start, start + length)

    def fetch(self, start: int, end: int) -> bytearray:
        """Fetch exactly these bytes."""
        return self._rest(bytearray(), start, end)

    def close(self) -> None:
        """Ask for nothing more."""
        if self._kept is not None:
            self._kept[1].close()
            self._kept = None

    def _rest(self, data: bytearray, start: int, end: int) -> bytearray:
        in_vain = 0
        while len(data) < end - start:
            before = len(data)
            failure = self._pour(self._body(start + before, end), data, start, end - start)
            in_vain = 0 if len(data) > before else in_vain + 1
            if in_vain == self._attempts:
                raise StorageError(
                    f"{self._uri} breaks off after {start + before} of {self.size} bytes, {in_vain} times: {failure}.",
                    uri=self._uri,
                )
            time.sleep(min(5.0, 0.1 * 2**in_vain) if in_vain else 0)
        return data

    def _body(self, position: int, end: int) -> Any:
        """What gives the bytes from a position on: the answer that goes on there, or another."""
        if self._kept is not None and self._kept[0] == position:
            body, self._kept = self._kept[1], None
            return body
        condition = {"IfMatch": self._etag} if self._etag else {}
        wanted = f"bytes={position}-{max(end, self._until) - 1}"
        try:
            with self._s3.errors(self._uri, "GetObject"):
                answer = self._s3.client.get_object(**self._where, Range=wanted, **condition)
        except NoSuchKey:
            raise ObjectChanged(self._uri) from None
        if answer.get("ETag") != self._etag or "ContentRange" not in answer:
            raise ObjectChanged(self._uri)
        return answer["Body"]

    def _pour(self, body: Any, data: bytearray, start: int, length: int) -> Exception | None:
        """Add an answer's bytes until there are so many; gives what broke it off."""
        from botocore.exceptions import BotoCoreError, HTTPClientError
        from urllib3.exceptions import HTTPError

        try:
            while len(data) < length and (piece := body.read(min(MIB, length - len(data)))):
                data += piece
        except (BotoCoreError, HTTPClientError, HTTPError, OSError) as error:
            body.close()
            return error
        if len(data) == length and start + length < self._until:
            self._kept = start + length, body
        else:
            body.close()
        return None


class S3Upload:
    """One object on its way to a server."""

    def __init__(self, s3: S3Client, uri: str, where: dict[str, str], options: dict[str, Any]) -> None:
        self._s3, self._uri, self._where, self._options = s3, uri, where, options
        self._id = ""
        self._etags: dict[int, str] = {}

    def put(self, data: bytes | bytearray) -> None:
        """Make the object of these bytes."""
        if data:
            self._refuse_folder()
        with self._s3.errors(self._uri, "PutObject"):
            self._s3.client.put_object(**self._where, Body=data, **self._options)

    def begin(self) -> None:
        """Begin an object of several parts."""
        self._refuse_folder()
        with self._s3.errors(self._uri, "CreateMultipartUpload"):
            self._id = self._s3.client.create_multipart_upload(**self._where, **self._options)["UploadId"]

    def part(self, number: int, data: bytes | bytearray) -> None:
        """Send a part."""
        with self._s3.errors(self._uri, "UploadPart"):
            answer = self._s3.client.upload_part(**self._where, UploadId=self._id, PartNumber=number, Body=data)
        self._etags[number] = answer["ETag"]

    def copy_part(self, source: dict[str, str], source_uri: str, etag: str, number: int, start: int, end: int) -> None:
        """Make a part of bytes of another object, which must be the one of this mark."""
        with self._s3.errors(source_uri, "UploadPartCopy"):
            answer = self._s3.client.upload_part_copy(
                **self._where,
                UploadId=self._id,
                PartNumber=number,
                CopySource=source,
                CopySourceRange=f"bytes={start}-{end - 1}",
                CopySourceIfMatch=etag,
            )
        self._etags[number] = answer["CopyPartResult"]["ETag"]

    def complete(self) -> None:
        """Make the object of its parts."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(self._etags.items())]
        with self._s3.errors(self._uri, "CompleteMultipartUpload"):
            self._s3.client.complete_multipart_upload(
                **self._where, UploadId=self._id, MultipartUpload={"Parts": parts}
            )

    def abort(self) -> None:
        """Forget the parts; if the server cannot be told, what broke the upload off says why."""
        if self._id:
            with suppress(StorageError), self._s3.errors(self._uri, "AbortMultipartUpload", is_missing_fine=True):
                self._s3.client.abort_multipart_upload(**self._where, UploadId=self._id)

    def too_large(self, limit: int) -> StorageError:
        """What is raised for an object of more bytes."""
        return StorageError(f"{self._uri} has more than {limit:,} bytes, the most of an object here.", uri=self._uri)

    def _refuse_folder(self) -> None:
        if self._where["Key"].endswith("/") and self._s3.is_seaweedfs(self._where["Bucket"]):
            raise StorageError(
                f"SeaweedFS at {self._s3.endpoint} would lose the content of {self._uri}: it makes a folder of it.",
                uri=self._uri,
                remedy="Use a key that does not end in a slash there.",
            )
