"""The history of a run at full resolution: exports where there are some, pages of live rows for the rest.

Pages are ranges of ``_step`` that are asked for side by side. What was known before (from the store, or from a pull
that broke off) is not asked for again; the last row of it is, to see that it still is the same history.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from runscope.errors import ServiceError
from runscope.progress import Progress
from runscope.schema import checked, or_none
from runscope.sources.wandb_cloud.facts import EVENTS, PAGE, Count, Facts, exports_question
from runscope.sources.wandb_cloud.points import STEP, Points, joined, of_events, of_export, of_rows
from runscope.sources.wandb_cloud.service import SIDE_BY_SIDE, Rejected, Service

PAGE_ROWS = 10_000
"""Rows a page. The service counts requests, not rows: few large pages are kinder and faster."""
MACHINE_ROWS = 5_000
Range = tuple[int, int]
"""Steps from the first up to, without, the second."""
Keep = Callable[[str, Range, Points], None]
Given = Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any]]]
"""By question: the words that it was asked with, and the run in its answer."""


@dataclass(frozen=True)
class Known:
    """What need not be asked for.

    Attributes:
        covered: ranges of which every row is known.
        points: those rows, and maybe more.
        exports: exported files that were read, by name.
        short: rows fewer than the service counted at that time.
    """

    covered: tuple[Range, ...] = ()
    points: Points = field(default_factory=Points)
    exports: tuple[str, ...] = ()
    short: int = 0


@dataclass(frozen=True)
class _Exports:
    """What the service says of exported files."""

    parquetUrls: list[str] | None = None  # noqa: N815 - the service's word
    liveData: list[Any] | None = None  # noqa: N815


@dataclass(frozen=True)
class _Run:
    """What the service says of a run's history, in its own words."""

    history: list[Any] | None = None
    events: list[Any] | None = None
    parquetHistory: _Exports | None = None  # noqa: N815


@dataclass(frozen=True)
class _Project:
    run: _Run | None = None


@dataclass(frozen=True)
class _Answer:
    project: _Project | None = None


class AnotherHistory(Exception):
    """The run was rewound: what was known of it is of no use."""


@dataclass
class Fetch:
    """One run's history being fetched.

    Attributes:
        service: whom to ask.
        facts: what it said of the run.
        keep: told of each piece as it comes; a later fetch can go on from those.
        progress: called with pieces done and pieces in all.
        given: what the service said already, when it was asked for several runs together.
    """

    service: Service
    facts: Facts
    keep: Keep | None = None
    progress: Progress | None = None
    given: Given = field(default_factory=dict)

    def machine(self) -> dict[str, Any]:
        """Machine metrics, as many as the service gives; a run without them has none."""
        run = self._run(EVENTS, name=self.facts.id, samples=MACHINE_ROWS)
        return of_events(run.get("events") or ())

    def points(self, known: Known) -> Points:
        """All points, those that were known before included.

        Raises:
            AnotherHistory: the run was rewound since.
            ServiceError: the service refused; what came before that was kept.
        """
        missing = _gaps(known.covered, self.facts.last_step + 1)
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            try:
                machine = pool.submit(self.machine)
                boundary, exported = self._exported(missing, known, pool)
                ranges = _anchored([(max(a, boundary), b) for a, b in missing if b > boundary], known)
                pages = self._pages(ranges, pool)
                found = [known.points, *exported, *pages.values()]
                points = joined(found, machine.result())
                if self._is_short(points, known):
                    if known.covered:
                        raise AnotherHistory
                    finer = pool.map(self._finer, pages, pages.values())
                    points = joined([points, *finer], points.system)
            except BaseException as error:
                pool.shutdown(wait=False, cancel_futures=True)
                if isinstance(error, KeyboardInterrupt):
                    self.service.stop()
                raise
        self._compare(known, pages)
        return points

    def _is_short(self, points: Points, known: Known) -> bool:
        """Whether rows are missing, more than were before.

        The counters of a running run are not of the same moment as its rows, and of a rewound one the lines that it
        gave up are counted too.
        """
        if self.facts.lineage is not None:
            return False
        expected = self.facts.line_count - known.short
        lag = 0.0 if self.facts.how_it_ended != "running" else max(100.0, 0.05 * expected)
        return len(points.steps) < expected - lag

    def _exported(
        self, missing: list[Range], known: Known, pool: ThreadPoolExecutor
    ) -> tuple[int, list[Points]]:
        """The step from which on rows are not in an export, and the exported points that are needed."""
        if not missing:
            return 0, []
        urls = self._exports(live=False).get("parquetUrls") or []
        if not urls:
            return 0, []
        content = self._exports(live=True)
        rows = (row.get(STEP) for row in content.get("liveData") or () if isinstance(row, dict))
        live = [step for row in rows if (step := or_none(row, Count)) is not None]
        urls = content.get("parquetUrls") or urls
        if live and min(live) <= missing[0][0]:
            return 0, []
        fresh = [url for url in urls if _export_name(url) not in known.exports]
        done: list[Points] = []
        for number, points in enumerate(pool.map(self._export, fresh), 1):
            done.append(points)
            self._tell(number, len(fresh))
        last = max((int(p.steps[-1]) for p in (known.points, *done) if len(p.steps)), default=-1)
        return (min(live) if live else last + 1), done

    def _export(self, url: str) -> Points:
        import pyarrow as pa
        import pyarrow.parquet as pq

        content = self.service.fetch(url)
        try:
            with pq.ParquetFile(pa.BufferReader(content)) as file:
                points = of_export(file.read())
        except (pa.ArrowException, OSError, ValueError, TypeError) as error:
            raise ServiceError(
                f"an exported history of {self.facts.id} cannot be read: {type(error).__name__}",
                hint="W&B may be writing it just now; try again in a few minutes",
            ) from error
        if self.keep is not None:
            self.keep(_export_name(url), (0, 0), points)
        return points

    def _exports(self, *, live: bool) -> dict[str, Any]:
        try:
            run = self._run(exports_question(live=live), runName=self.facts.id, liveKeys=[STEP])
        except Rejected:
            return {}  # an older service of one's own: it has no exports
        return run.get("parquetHistory") or {}

    def _pages(self, ranges: list[Range], pool: ThreadPoolExecutor) -> dict[Range, Points]:
        width, rows = _page_size(self.facts)
        wanted = [(a, min(a + width, end)) for begin, end in ranges for a in range(begin, end, width)]
        several = len(wanted) > 1
        asked: dict[Future[Points], Range] = {
            pool.submit(self._kept_page, page, rows, several): page for page in wanted
        }
        found: dict[Range, Points] = {}
        for number, done in enumerate(as_completed(asked), 1):
            found[asked[done]] = done.result()
            self._tell(number, len(wanted))
        return {page: found[page] for page in wanted}

    def _kept_page(self, page: Range, rows: int, several: bool) -> Points:
        """A page, kept as soon as it is there: another one may fail meanwhile."""
        points = self._page(page, rows)
        if several and self.keep is not None:
            self.keep(f"{page[0]}-{page[1]}", page, points)
        return points

    def _page(self, page: Range, rows: int) -> Points:
        """All rows of a range."""
        begin, end = page
        run = self._run(PAGE, run=self.facts.id, minStep=begin, maxStep=end, pageSize=rows)
        texts = run.get("history") or ()
        points = of_rows(texts)
        if len(texts) >= rows and len(points.steps) < end - begin and end - begin > 1:
            # It is full, so there may be more: rows crowd here, or some come twice.
            middle = (begin + end) // 2
            return joined([self._page((begin, middle), rows), self._page((middle, end), rows)])
        return points

    def _finer(self, page: Range, points: Points) -> Points:
        """A page once more in halves, and so on as long as that brings more rows: the service may give fewer a page."""
        begin, end = page
        if end - begin < 2 or len(points.steps) >= end - begin:
            return points
        middle = (begin + end) // 2
        halves = {h: self._page(h, PAGE_ROWS) for h in ((begin, middle), (middle, end))}
        both = joined(halves.values())
        if len(both.steps) <= len(points.steps):
            return points
        return joined([points, *(self._finer(h, p) for h, p in halves.items())])

    def _compare(self, known: Known, pages: dict[Range, Points]) -> None:
        """See that the last known row is still there.

        Raises:
            AnotherHistory: it is not.
        """
        if not len(known.points.steps):
            return
        last = int(known.points.steps[-1])
        before = known.points.row(last)
        now = next((p.row(last) for (begin, end), p in pages.items() if begin <= last < end), {})
        if not now:
            # A row that went into an export meanwhile is in no page any more.
            if not self._exports(live=False).get("parquetUrls"):
                raise AnotherHistory
            return
        names = {"_timestamp"} & before.keys() & now.keys() or before.keys() & now.keys()
        if any(before[n] != now[n] and before[n] == before[n] for n in names):
            raise AnotherHistory

    def _run(self, question: str, **words: Any) -> dict[str, Any]:
        asked, given = self.given.get(question, ({}, {}))
        if asked == words:
            data = {"project": {"run": {k: given.get(k) for k in ("history", "events", "parquetHistory")}}}
        else:
            data = self.service.ask(question, **self.facts.words, **words)
        try:
            answer = checked(data, _Answer)
        except ValueError as error:
            raise ServiceError(
                f"W&B answered the question for {self.facts.id} with something else: {error}",
                hint="check WANDB_BASE_URL; it may be newer than this runscope: pip install -U runscope",
            ) from None
        run = answer.project.run if answer.project is not None else None
        return {} if run is None else {k: v for k, v in asdict(run).items() if v is not None}

    def _tell(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(f"reading {self.facts.id}", done, total)


def _page_size(facts: Facts) -> Range:
    """Steps and rows a page: where few steps have a row a page spans more of them."""
    steps_a_row = (facts.last_step + 1) / max(facts.line_count, 1)
    if steps_a_row <= 1 or not facts.line_count:
        return PAGE_ROWS, PAGE_ROWS
    # Rows may crowd somewhere: a page that comes back full is halved.
    return math.ceil(PAGE_ROWS * steps_a_row), 2 * PAGE_ROWS


def whole_page(facts: Facts) -> Range | None:
    """Last step and rows of the page that holds all of a run's history; None where it takes several, or none."""
    width, rows = _page_size(facts)
    return (facts.last_step + 1, rows) if facts.line_count and 0 <= facts.last_step < width else None


def _gaps(covered: Iterable[Range], end: int) -> list[Range]:
    """Ranges below ``end`` that are not covered."""
    gaps = []
    at = 0
    for begin, stop in sorted(covered):
        if begin > at:
            gaps.append((at, min(begin, end)))
        at = max(at, stop)
    if at < end:
        gaps.append((at, end))
    return [(a, b) for a, b in gaps if a < b]


def _anchored(ranges: list[Range], known: Known) -> list[Range]:
    """The ranges, and in one of them the last known row."""
    if not len(known.points.steps):
        return ranges
    last = int(known.points.steps[-1])
    behind = next((r for r in ranges if r[0] > last), None)
    if behind is None:
        return [*ranges, (last, last + 1)]
    return [(last, r[1]) if r == behind else r for r in ranges]


def _export_name(url: str) -> str:
    """An exported file by its path: the signature behind it changes with every answer."""
    return "export-" + hashlib.sha256(urlsplit(url).path.encode()).hexdigest()[:16]


def known_from(kept: Iterable[tuple[str, Range, Points]]) -> Known:
    """What pieces of an earlier fetch amount to."""
    every = list(kept)
    return Known(
        tuple(r for _, r, _ in every if r[0] < r[1]),
        joined(p for _, _, p in every),
        tuple(n for n, _, _ in every if n.startswith("export-")),
    )
