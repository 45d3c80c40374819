"""ExcelCSV."""

from __future__ import annotations

from penstock.data import formats
from penstock.definition.model import PipelineObject
from penstock.definition.problems import Problem
from penstock.definition.slots import slot
from penstock.objects.families import DataFormat


class ExcelCSV(DataFormat):
    """CSV that Excel opens without changing a value, such as a number with leading zeros or a text that begins with =.

    A value that Excel would change is written as a formula of nothing but its text, and read back as the text.
    """

    icon = "format"
    is_extension = True

    column_separator: str | None = slot(
        "The character between values: a semicolon where Excel's language writes numbers with a comma.", default=","
    )
    header: bool = slot("Whether the first line holds the names of the columns.", default=False)

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """The separator is a single character, and no quote."""
        text = obj.text("columnSeparator") or ","
        if "#{" in text:
            return super().check(obj)
        try:
            formats.ExcelCsv(column_separator=text)
        except formats.FormatError as error:
            problem = Problem(obj.id, "columnSeparator", str(error), value=text, is_warning=True)
            return [*super().check(obj), problem]
        return super().check(obj)

    def format(self) -> formats.ExcelCsv:
        """Quoted records with a byte order mark."""
        return formats.ExcelCsv(tuple(self.column), self.header, self.column_separator or ",")
