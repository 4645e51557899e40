"""The ``ffcv`` package, patched before use."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType
from typing import Any

import torch

from data_prep.errors import MissingDependencyError
from data_prep.shards.beton import INSTALL_FFCV, ffcv_is_installed


def import_ffcv() -> ModuleType:
    """The ``ffcv`` package, patched; ``MissingDependencyError`` if it cannot be imported.

    On import and again with each loader FFCV sets the thread count of torch for the whole process: that is undone and
    prevented. Of numba's threading layers, ``workqueue`` aborts the process when two loaders run: it is refused.
    """
    if not ffcv_is_installed():
        raise MissingDependencyError(INSTALL_FFCV)
    threads = torch.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it uses deprecated modules of Python
            numba: Any = importlib.import_module("numba")
            if numba.config.THREADING_LAYER == "default":
                numba.config.THREADING_LAYER = "threadsafe"
            import ffcv
            from ffcv.pipeline.compiler import Compiler

            layer = numba.threading_layer()
    except (ImportError, OSError, ValueError) as error:
        raise MissingDependencyError(
            f"FFCV is installed but cannot be used ({error}); {INSTALL_FFCV}"
        ) from None
    finally:
        torch.set_num_threads(threads)
    if layer == "workqueue":
        raise MissingDependencyError(
            "FFCV needs numba's omp or tbb threads, but numba uses workqueue; install libgomp or tbb"
        )

    def set_num_threads(compiler: Any, count: int) -> None:
        compiler.num_threads = count
        numba.set_num_threads(count)

    Compiler.set_num_threads = classmethod(set_num_threads)
    return ffcv
