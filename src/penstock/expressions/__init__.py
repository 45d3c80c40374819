"""The language inside `#{…}`: parse a string field, evaluate it for an object, write its value as text."""

from penstock.expressions.errors import ExpressionError, NotYet, UnknownName
from penstock.expressions.evaluator import evaluate
from penstock.expressions.functions import FUNCTIONS, Function, function
from penstock.expressions.parser import expression_length, parse
from penstock.expressions.tree import Expression, Template, names, print_template
from penstock.expressions.values import Fields, Value, to_text

__all__ = [
    "FUNCTIONS",
    "Expression",
    "ExpressionError",
    "Fields",
    "Function",
    "NotYet",
    "Template",
    "UnknownName",
    "Value",
    "evaluate",
    "expression_length",
    "function",
    "names",
    "parse",
    "print_template",
    "to_text",
]
