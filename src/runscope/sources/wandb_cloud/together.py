"""Short runs of a project asked for together: one GraphQL question brings the histories of many, under aliases.

The service counts requests, and most of a short run's time is the way there and back. What came so is what
:class:`runscope.sources.wandb_cloud.history.Fetch` would have asked for run by run, in the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runscope.errors import NotSignedIn, ServiceError, TooManyRequests
from runscope.schema import or_none
from runscope.sources.wandb_cloud.facts import EVENTS, PAGE, Facts, exports_question
from runscope.sources.wandb_cloud.history import MACHINE_ROWS, PAGE_ROWS, Given, whole_page
from runscope.sources.wandb_cloud.points import STEP
from runscope.sources.wandb_cloud.service import Service

MOST_RUNS = 32
"""Runs in one question; their rows together fill a page (:data:`runscope.sources.wandb_cloud.history.PAGE_ROWS`)."""


def lots(runs: Sequence[Facts]) -> Iterator[list[Facts]]:
    """Runs in their order, in lots that one question may ask for; a run that fills a page is a lot of its own."""
    lot: list[Facts] = []
    rows = 0
    for run in runs:
        if lot and (len(lot) == MOST_RUNS or rows + run.line_count > PAGE_ROWS):
            yield lot
            lot, rows = [], 0
        lot.append(run)
        rows += run.line_count
    if lot:
        yield lot


class Together:
    """Asks for short runs of one project together, as long as the service takes such questions.

    Args:
        service: whom to ask.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._taken = True

    def ask(self, runs: Sequence[Facts]) -> Mapping[str, Given]:
        """What the service says of the histories of runs, by id; empty of those to ask for one by one.

        Raises:
            NotSignedIn, TooManyRequests: the service refused.
        """
        asked = [(run, page) for run in runs if (page := whole_page(run)) is not None]
        if len(asked) < 2 or not self._taken:
            return {}
        words: dict[str, Any] = {**runs[0].words, "samples": MACHINE_ROWS, "liveKeys": [STEP]}
        for number, (run, (end, rows)) in enumerate(asked):
            words |= {f"run{number}": run.id, f"end{number}": end, f"rows{number}": rows}
        try:
            data = self._service.ask(_question(len(asked)), **words)
        except (NotSignedIn, TooManyRequests):
            raise
        except ServiceError:  # too much for it, or too new: run by run it says what is wrong
            self._taken = False
            return {}
        project = or_none(data.get("project"), dict[str, Any]) or {}
        found: dict[str, Given] = {}
        for number, (run, (end, rows)) in enumerate(asked):
            answer = or_none(project.get(f"r{number}"), dict[str, Any])
            if answer is not None:
                words = {"run": run.id, "minStep": 0, "maxStep": end, "pageSize": rows}
                found[run.id] = {
                    EVENTS: ({"name": run.id, "samples": MACHINE_ROWS}, answer),
                    exports_question(live=False): ({"runName": run.id, "liveKeys": [STEP]}, answer),
                    PAGE: (words, answer),
                }
        return found


def _question(count: int) -> str:
    numbers = range(count)
    words = "".join(f", $run{n}: String!, $end{n}: Int64!, $rows{n}: Int!" for n in numbers)
    asked = " ".join(
        f"r{n}: run(name: $run{n}) {{ events(samples: $samples) parquetHistory(liveKeys: $liveKeys) {{ parquetUrls }} "
        f"history(minStep: 0, maxStep: $end{n}, samples: $rows{n}) }}"
        for n in numbers
    )
    return (
        f"query RunsHistory($entity: String!, $project: String!, $samples: Int, $liveKeys: [String!]!{words}) "
        f"{{ project(name: $project, entityName: $entity) {{ {asked} }} }}"
    )
