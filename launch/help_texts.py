"""Docstrings of fields as paragraphs, which tyro breaks to the width of the terminal.

tyro keeps each line break of a docstring whose next line begins with a space, as all lines of an indented docstring do.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo


def flowing_help() -> ConstructorRegistry:
    """For tyro: each field as by its own rules, except that the lines of a docstring's paragraph are joined."""
    registry = ConstructorRegistry()
    is_inside = False

    def rule(info: StructTypeInfo) -> StructConstructorSpec | None:
        nonlocal is_inside
        if is_inside:  # tyro's own rules are next
            return None
        is_inside = True
        try:
            found = ConstructorRegistry.get_struct_spec(info)
        finally:
            is_inside = False
        if not isinstance(found, StructConstructorSpec):
            return None
        return replace(found, fields=tuple(map(_flowing, found.fields)))

    registry.struct_rule(rule)
    return registry


def joined(text: str) -> str:
    """The text with a line per paragraph."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _flowing(field: StructFieldSpec) -> StructFieldSpec:
    return replace(field, helptext=partial(_joined_help, field))


def _joined_help(field: StructFieldSpec) -> str | None:
    """Read only when it is shown: tyro parses the source for it."""
    text = field.helptext() if callable(field.helptext) else field.helptext
    return None if text is None else joined(text)
