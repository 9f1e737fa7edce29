"""What torch raises as RuntimeError and a user can mend, in one line. Nothing here imports torch."""

import re

NO_COMPILER = re.compile(
    "InvalidCxxCompiler|CppCompileError|Failed to find C compiler|working triton install"
)
OUT_OF_MEMORY = re.compile("can't allocate memory|out of memory|not enough memory")


def remedy(error: RuntimeError, compiling: str, smaller: str) -> str | None:
    """Return the error in one line with what helps; None if it is no such error.

    Args:
        error: as raised.
        compiling: what asked for a compiler.
        smaller: what needs less memory.
    """
    if NO_COMPILER.search(str(error)):
        return (
            f"{compiling} needs a C++ compiler, on GPUs Triton too ({str(error).splitlines()[0]}): install g++ or "
            "name a compiler in the environment variable CXX, or leave it out"
        )
    # torch has a class of its own for CUDA's alone.
    if OUT_OF_MEMORY.search(str(error)):
        return f"not enough memory ({str(error).splitlines()[0]}): {smaller} needs less"
    return None
