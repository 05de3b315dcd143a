"""One worker that writes reports of trainings: ``python -m runscope.api.report_worker``, as a survey's workers are."""

from __future__ import annotations

from pathlib import Path

from runscope.api.judging import diagnose
from runscope.api.reports import report
from runscope.errors import RunscopeError
from runscope.survey.card import unreadable
from runscope.survey.work import Done, Task
from runscope.survey.worker import serve


def written(task: Task) -> Done:
    """Write the report of a training; a card says why it could not be written."""
    try:
        report(diagnose(list(task.references)), Path(task.report))
    except RunscopeError as error:
        return Done([unreadable(task.references[0], error.message, error.hint)])
    except OSError as error:
        said = f"{task.report} cannot be written: {error.strerror}"
        return Done([unreadable(task.references[0], said, "choose another folder with --reports")])
    return Done()


if __name__ == "__main__":
    serve(written)
