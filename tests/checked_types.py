"""Every annotated shape and type of ``data_prep`` and ``pipeline`` is checked at each call, in tests only.

jaxtyping's import hook does it. It makes two checkers of a function when its module is imported, of which a worker then
calls a part only: two fifths of the time of a collection. Here a function's checkers are made when it is first called.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jaxtyping

FLOORS = ("data_prep", "pipeline")
_at_once = jaxtyping.jaxtyped


def check_types() -> None:
    """Check the functions and dataclasses of modules that are imported from now on."""
    vars(jaxtyping)["jaxtyped"] = _at_first_call
    jaxtyping.install_import_hook(FLOORS, "beartype.beartype")


def _at_first_call(fn: Any = None, *, typechecker: Any = None) -> Any:
    """As ``jaxtyped``, of whatever it decorates."""
    if fn is None:
        return functools.partial(_at_first_call, typechecker=typechecker)
    decorate = functools.partial(_at_first_call, typechecker=typechecker)
    match fn:
        case type():
            if dataclasses.is_dataclass(fn) and not _is_checked(fn.__init__):
                type.__setattr__(fn, "__init__", decorate(fn.__init__))
            return fn
        case classmethod() | staticmethod():
            return type(fn)(decorate(fn.__func__))
        case property():
            return property(*(each and decorate(each) for each in (fn.fget, fn.fset, fn.fdel)))
        case _ if inspect.isfunction(fn):
            return _of_function(fn, typechecker)
        case _:
            return _at_once(fn, typechecker=typechecker)


def _of_function(fn: Callable[..., Any], typechecker: Any) -> Callable[..., Any]:
    checked: Callable[..., Any] | None = None

    @functools.wraps(fn)
    def at_call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        nonlocal checked
        if jaxtyping.config.jaxtyping_disable:
            return fn(*args, **kwargs)
        if checked is None:
            checked = _at_once(fn, typechecker=typechecker)
        return checked(*args, **kwargs)

    vars(at_call)["checks_types"] = True
    return at_call


def _is_checked(fn: Any) -> bool:
    return hasattr(fn, "checks_types")
