"""An exception that is not ours, in one sentence, and whether another attempt may end differently; without torch."""

from __future__ import annotations

import re
import sysconfig
import traceback
from pathlib import Path

from data_prep.errors import UserError

# What torch appends to a message, or writes around it, for people who debug torch itself.
_ADVICE = re.compile(
    r"^\s*(CUDA kernel errors might|For debugging consider|Device-side assertion tracking|Search for `cuda"
    r"|Compile with `TORCH_USE_CUDA_DSA|Set TORCH(DYNAMO|_LOGS|_COMPILE)|You can suppress this exception|from user code:"
    r"|Hint: Your code|Exception raised from |Developer debug context)",
    re.M,
)
_OUT_OF_GPU_MEMORY = (
    "the GPU's memory is too small for this: a smaller training.batch_size, fewer cells on one GPU (cells_per_gpu), or a"
    " GPU with more memory (--constraint)"
)
_MISTAKES = (
    ArithmeticError, AssertionError, AttributeError, LookupError, ModuleNotFoundError, NameError, NotImplementedError,
    RecursionError, SyntaxError, TypeError, ValueError,
)  # fmt: skip
"""What Python raises for a mistake in a program, which the next attempt makes again."""
_COMPILER_MISTAKES = frozenset({"TorchRuntimeError", "Unsupported", "OutOfMemoryError"})
"""Classes of torch, by name, of errors that the next attempt makes again."""
_TORCH_REFUSES = re.compile(
    r"Error\(s\) in loading state_dict|shapes? cannot be multiplied|must match the (existing )?size|size mismatch"
    r"|shape '.*' is invalid|size of tensor|is invalid for input of size|same (number of )?dim|inconsistent tensor size"
    r"|expects? each tensor to be equal size|Sizes of tensors must match|expected input|expected \S+ to have|weight of size"
    r"|Expected all tensors to be on the same device|expected (scalar type|m1 and m2)|must (have|be) the same dtype"
    r"|should be the same|not broadcastable|output with shape|does not require grad|modified by an inplace operation"
    r"|backward through the graph a second time|view size is not compatible|\d+D .*tensor|[Dd]imension out of range"
    r"|Expected size for|should contain|be greater than actual|is not on the expected device|index .* out of"
    r"|not implemented for '|can't be cast to the desired|device-side assert|Given (groups|input size|normalized_shape)"
)
"""Messages of the RuntimeErrors by which torch refuses what a program does with its tensors."""


def in_one_sentence(error: BaseException) -> str:
    """A user error's own sentence; of any other its type, the last line of its message, and where it was raised.

    Of the places it passed through, that is the innermost one outside of installed packages: a network's line rather than
    torch's.
    """
    if isinstance(error, UserError):
        return str(error)
    message = _last_line(str(error))
    frames = traceback.extract_tb(error.__traceback__)
    where = ""
    if frames:
        frame = next((one for one in reversed(frames) if not _is_installed(one.filename)), frames[-1])
        where = f" ({'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno})"
    sentence = f"{type(error).__name__}{': ' if message else ''}{message}{where}"
    return f"{sentence}; {_OUT_OF_GPU_MEMORY}" if is_out_of_gpu_memory(error) else sentence


def is_out_of_gpu_memory(error: BaseException) -> bool:
    """Whether torch's allocator found too little memory on the GPU."""
    return "OutOfMemoryError" in _names(error)


def may_pass(error: BaseException) -> bool:
    """Whether another attempt may end differently, as far as its type and message tell.

    A mistake in Python code, tensors that do not fit each other and a GPU without memory are the same the next time. A disk,
    a connection, a driver or a device that failed may work again; so may whatever is not known here.
    """
    if isinstance(error, OSError):
        return True
    if isinstance(error, _MISTAKES) or _COMPILER_MISTAKES & _names(error):
        return False
    return not (isinstance(error, RuntimeError) and _TORCH_REFUSES.search(_without_advice(str(error))))


def _names(error: BaseException) -> set[str]:
    """The names of its classes, which need not be imported to be compared."""
    return {each.__name__ for each in type(error).__mro__}


def _without_advice(message: str) -> str:
    """A message without torch's advice on how to debug it."""
    advice = _ADVICE.search(message)
    return (message[: advice.start()] if advice else message).strip()


def _last_line(message: str) -> str:
    """The last line that says what went wrong."""
    lines = _without_advice(message).splitlines()
    return lines[-1].strip() if lines else ""


def _is_installed(file: str) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    paths = sysconfig.get_paths()
    within = ("<", paths["stdlib"], paths["platstdlib"])
    return file.startswith(within) or bool({"site-packages", "dist-packages"} & set(Path(file).parts))
