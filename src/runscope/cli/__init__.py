"""One file a command: parse, call one verb, render."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from runscope.errors import RunscopeError, panicked

INTERRUPTED = 130
"""Exit status after Ctrl-C, as the shell has it."""
OFF = ("", "0", "false", "no", "off")
"""As the parser reads a switch in the environment."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status (see the table in ``docs/cli.md``)."""
    import typer

    from runscope.cli.app import app
    from runscope.cli.settings import defaults

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _prepare(arguments)
    debug = "--debug" in arguments or os.environ.get("RUNSCOPE_DEBUG", "").lower() not in OFF
    # Base of what the parser raises; typer does not export it under a name of its own.
    parser_error: type[Exception] = typer.BadParameter.__mro__[2]
    try:
        status = app(arguments, standalone_mode=False, prog_name="runscope", default_map=defaults())
        sys.stdout.flush()  # a full disk is told here, not when nobody listens any more
        if status == INTERRUPTED:  # the parser has caught it already
            raise KeyboardInterrupt
    except RunscopeError as error:
        if debug:
            raise
        return complain(error.message, error.hint)
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted: what was finished is kept", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (head, less) has left. Python would complain once more when it flushes at exit.
        _drop_output()
        return 0
    except OSError as error:
        if debug:
            raise
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        if full or error.errno in (errno.EIO, errno.EBADF):
            _drop_output()
            return complain(
                f"what was found cannot be written: {error.strerror}",
                "free some space, or send the output elsewhere",
            )
        where = f" ({error.filename})" if error.filename else ""
        return complain(
            f"{error.strerror or error}{where}", "check the path, its rights, and the current folder"
        )
    except parser_error as error:
        return _usage(error)
    except BaseException as error:
        if debug or not (isinstance(error, Exception) or panicked(error)):
            raise
        return _unexpected(error)
    return status if isinstance(status, int) else 0


def _import_numpy() -> None:
    """Load numpy without the threads of its BLAS, a thread a core: curves are short, and they cost 0.1 s at each start.

    Only numpy's own library reads the variable here; what is started later, torch among it, does not see it.
    """
    name = "OPENBLAS_NUM_THREADS"
    if "numpy" in sys.modules or name in os.environ:
        return
    os.environ[name] = "1"
    with suppress(ImportError):  # told where it is needed
        import numpy as np  # noqa: F401
    del os.environ[name]


def _prepare(arguments: Sequence[str]) -> None:
    """Let any text go to any terminal or pipe, and have waits said."""
    from runscope import progress
    from runscope.cli.output import note

    if not {"--help", "-h", "--version"} & set(arguments):
        _import_numpy()
    quiet = "--quiet" in arguments or "-q" in arguments
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        # What is closed would be given to the next file that is opened, and be written into it.
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        # A piped Windows console has an encoding that knows few letters; half a letter knows none.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    progress.listen(None if quiet else lambda text: note(f"note: {text}"))


def _drop_output() -> None:
    """Send what is still to be written nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(message: str, hint: str) -> int:
    """Print one ``error:`` and one ``hint:`` line to stderr; the exit status that goes with them."""
    from runscope.safe_text import harmless_line

    for label, text in (("error", message), ("hint", hint)):
        print(f"{label}: {harmless_line(' '.join(text.split()))}", file=sys.stderr)  # noqa: T201
    return 2


def _unexpected(error: BaseException) -> int:
    if isinstance(error, MemoryError):
        return complain(
            "this needs more memory than there is", "name a smaller part of it, or use a larger machine"
        )
    return complain(
        f"unexpected error: {type(error).__name__}: {error}",
        "the same command with --debug shows where; please report it with that text",
    )


def _usage(error: BaseException) -> int:
    """Words that do not fit, as the parser saw them."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:
        print(context.get_help())  # noqa: T201
        return 0
    text = getattr(error, "format_message", lambda: str(error))()
    text = text.replace(": Value error, ", ": ").replace("argument(s)", "argument")
    message, _, rest = text.partition(" Did you mean")
    suggestion = f"did you mean{rest} " if rest else ""
    command = context.command_path if context is not None else "runscope"
    return complain(message.rstrip("."), f"{suggestion}{command} --help shows what fits")
