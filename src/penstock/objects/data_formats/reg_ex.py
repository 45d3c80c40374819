"""RegEx."""

from __future__ import annotations

from penstock.data import formats
from penstock.definition.model import PipelineObject
from penstock.definition.problems import Problem
from penstock.definition.slots import slot
from penstock.objects.families import DataFormat


class RegEx(DataFormat):
    """Rows whose values are the groups of a regular expression, in Java's syntax, that a whole line matches.

    A group that takes no part is NULL. A row is written only if inputRegEx reads the line back as the same row.
    """

    icon = "format"

    input_reg_ex: str | None = slot("The regular expression that a row matches, with a group for each column.")
    output_format: str | None = slot("How a row is written: %1$s stands for the first column, and so on.")

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """The expression and the format are understood; a warning, since the real service looks at run time only."""
        problems = super().check(obj)
        for key in ("inputRegEx", "outputFormat"):
            text = obj.text(key)
            if text is None or "#{" in text:
                continue
            try:
                formats.RegEx(text if key == "inputRegEx" else None, text if key == "outputFormat" else None)
            except formats.FormatError as error:
                problems.append(Problem(obj.id, key, str(error), value=text, is_warning=True))
        return problems

    def format(self) -> formats.RegEx:
        """The expression to read lines and the format to write them."""
        return formats.RegEx(self.input_reg_ex, self.output_format, tuple(self.column))
