"""What can go wrong with an expression, each error with its place and its remedy."""

SHOWN_WIDTH = 100
"""Characters of a long line that `ExpressionError` shows around the place."""


class ExpressionError(Exception):
    """An expression that cannot be read or evaluated.

    `text` is the whole string that holds the expression, `position` the 0-based offset of the place in it.
    `str()` gives the message, the line with a caret below the place, and the remedy.
    """

    def __init__(self, text: str, position: int, message: str, remedy: str) -> None:
        super().__init__(text, position, message, remedy)
        self.text = text
        self.position = position
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        line, column = _line_at(self.text, self.position)
        gap = "".join("\t" if character == "\t" else " " for character in line[:column])
        return f"{self.message}\n    {line}\n    {gap}^\n{self.remedy}"


class UnknownName(Exception):
    """Raised by `Fields.field` when an object has no such field; `evaluate` adds the place.

    `remedy` may say what would be right, such as the closest name.
    """

    def __init__(self, name: str, remedy: str = "") -> None:
        super().__init__(name, remedy)
        self.name = name
        self.remedy = remedy

    def __str__(self) -> str:
        return f"There is no field or parameter {self.name!r}."


class NotYet(UnknownName):
    """Raised by `Fields.field` for a field that gets its value at run time; passes through `evaluate`."""

    def __str__(self) -> str:
        return f"The value of {self.name!r} is not known yet."


class Mistake(Exception):
    """A mistake whose text is not at hand: the room's own, always turned into an `ExpressionError`.

    `position` counts from the beginning of the expression's body, after `#{`; None where only a caller knows
    it. Where a module says so, `message` goes on after a name that only the caller knows.
    """

    def __init__(self, message: str, remedy: str, position: int | None = None) -> None:
        super().__init__(message, remedy, position)
        self.message = message
        self.remedy = remedy
        self.position = position

    def at(self, position: int, subject: str = "") -> "Mistake":
        """The same mistake at a place, its message after the subject."""
        return Mistake(f"{subject} {self.message}" if subject else self.message, self.remedy, position)

    def placed(self, text: str, start: int) -> ExpressionError:
        """The error for an expression whose body begins at `start` of a text."""
        return ExpressionError(text, start + (self.position or 0), self.message, self.remedy)


def _line_at(text: str, position: int) -> tuple[str, int]:
    """The line that holds `position`, cut to a width that can be read, and the column in it."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : len(text) if end < 0 else end].rstrip("\r")
    column = position - start
    if len(line) <= SHOWN_WIDTH:
        return line, column
    first = max(0, min(column - SHOWN_WIDTH // 2, len(line) - SHOWN_WIDTH))
    last = first + SHOWN_WIDTH
    before, after = "…" if first else "", "…" if last < len(line) else ""
    return before + line[first:last] + after, column - first + len(before)
