"""Reading the tokens of a statement one by one."""

from __future__ import annotations

import re

from sqlglot.tokenizer_core import Token, TokenType

from penstock.data.databases.rows import DatabaseError, quote


class Reader:
    """Where one is in the tokens of a CREATE TABLE; what does not come as expected raises `DatabaseError`."""

    def __init__(self, sql: str, tokens: list[Token]) -> None:
        self._sql = sql
        self._tokens = [word for token in tokens for word in _words(token, sql)]
        self._position = 0

    def _names(self) -> list[str]:
        self._expect("(")
        names = [self._name()]
        while self._take(","):
            names.append(self._name())
        self._expect(")")
        return names

    def _name(self) -> str:
        token = self._next()
        if token.token_type == TokenType.STRING or not re.match(r"#?[^\W\d]", token.text):
            raise self._unknown()
        self._position += 1
        return token.text.lower()

    def _dotted_name(self) -> str:
        parts = [self._name()]
        while self._take("."):
            parts.append(self._name())
        if len(parts) > 2:
            parts = parts[-2:]
        return ".".join(map(quote, parts))

    def _parentheses(self) -> None:
        depth = 0
        while True:
            depth += {"(": 1, ")": -1}.get(self._peek(), 0)
            if self._position >= len(self._tokens):
                raise self._unknown()
            self._position += 1
            if not depth:
                return

    def _next(self) -> Token:
        if self._position >= len(self._tokens):
            raise DatabaseError("The CREATE TABLE ends too early. Look for a missing parenthesis.")
        return self._tokens[self._position]

    def _peek(self) -> str:
        if self._position >= len(self._tokens):
            return ""
        token = self._tokens[self._position]
        return "" if token.token_type in (TokenType.IDENTIFIER, TokenType.STRING) else token.text.upper()

    def _take(self, *words: str) -> bool:
        if self._peek() in words:
            self._position += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._unknown()

    def _word(self, *allowed: str) -> None:
        if allowed and self._peek() not in allowed:
            raise self._unknown()
        self._position += 1

    def _text(self, start: int, end: int) -> str:
        return self._sql[self._tokens[start].start : self._tokens[end - 1].end + 1]

    def _rest(self) -> str:
        return self._sql[self._next().start :]

    def _unknown(self) -> DatabaseError:
        if self._position >= len(self._tokens):
            return DatabaseError("The CREATE TABLE ends too early. Look for a missing parenthesis.")
        token = self._tokens[self._position]
        return DatabaseError(f"'{token.text}' (line {token.line}) of the CREATE TABLE is not translated. Leave it out.")


def _words(token: Token, sql: str) -> list[Token]:
    """A token of several words (`PRIMARY KEY`) as several tokens."""
    text = sql[token.start : token.end + 1]
    if token.token_type in (TokenType.IDENTIFIER, TokenType.STRING) or not re.search(r"\s", text):
        return [token]
    return [
        Token(
            token.token_type, word[0], token.line, token.col, token.start + word.start(), token.start + word.end() - 1
        )
        for word in re.finditer(r"\S+", text)
    ]
