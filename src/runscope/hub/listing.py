"""Checkpoints of a Hub repository, a local clone, a bundle or a folder, and what is odd about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from runscope.errors import InputError, NotFound
from runscope.history.checkpoint import Checkpoint, Commit, File, Ref, StepSource, is_weight
from runscope.hub.folders import STATE, LoggedEpoch, SavedState, list_folders
from runscope.hub.opening import Repo, open_repo
from runscope.hub.titles import read_title
from runscope.progress import Progress
from runscope.schema import checked, or_none, read_json

_PIPELINE = "model_index.json"
_LAST = "last-checkpoint"
NAMED_REFS = 200
"""Branches named after a step that are looked at; each costs a request."""


@dataclass(frozen=True)
class Listing:
    """What a repository or folder holds.

    Attributes:
        reference: what was asked for.
        checkpoints: in the order they were saved.
        commits: how many commits its history has; 0 for a folder.
        last_commit_at: Unix seconds of the newest commit, or of the newest checkpoint of a folder.
        refs: its other branches, tags and pull requests.
        notes: what is odd about it, in sentences.
    """

    reference: str
    checkpoints: tuple[Checkpoint, ...] = ()
    commits: int = 0
    last_commit_at: float | None = None
    refs: tuple[Ref, ...] = ()
    notes: tuple[str, ...] = ()


def list_checkpoints(
    reference: str, *, endpoint: str | None = None, token: str | None = None, progress: Progress | None = None
) -> tuple[Checkpoint, ...]:
    """The checkpoints of :func:`list_repository` alone."""
    return list_repository(reference, endpoint=endpoint, token=token, progress=progress).checkpoints


def list_repository(
    reference: str, *, endpoint: str | None = None, token: str | None = None, progress: Progress | None = None
) -> Listing:
    """List every commit or folder that holds weights, in the order they were saved.

    Args:
        reference: ``user/repo``, ``hf://user/repo@revision``, a clone, a bundle, or a folder with ``checkpoint-*``.
        endpoint, token: another Hub host, another account than the one logged in.
        progress: called with the commits read so far.

    Raises:
        NotFound, NotSignedIn, NotAllowed, TooManyRequests, Unreachable: the Hub refused.
        InputError: a path that holds neither a repository nor checkpoints.
    """
    repo, revision = open_repo(reference, endpoint=endpoint, token=token)
    if isinstance(repo, Path):
        found = list_folders(repo)
        newest = max((c.saved_at for c in found if c.saved_at is not None), default=None)
        return Listing(reference, tuple(_with_twins(found)), last_commit_at=newest)
    commits = repo.commits(revision)
    refs = _other_refs(repo, commits, revision)
    named = _named_after_steps(refs, commits)
    trees = repo.trees(
        [c.revision for c in (*commits, *named)],
        None if progress is None else lambda done: progress("commits", done, len(commits) + len(named)),
    )
    reader = _Reader(repo, endpoint)
    for commit in commits:
        reader.take(commit, trees.get(commit.revision, ()))
    found = [*reader.found, *(c for commit in named for c in _of_ref(repo, endpoint, commit, trees))]
    found = _with_twins(_with_states(repo, found))
    notes = (*repo.notes(commits, revision), *_notes(commits, refs, named, found), *reader.notes)
    return Listing(
        reference, tuple(found), len(commits), commits[-1].saved_at if commits else None, tuple(refs), notes
    )


@dataclass
class _Reader:
    """Goes through a history and keeps each state of the weights."""

    repo: Repo
    endpoint: str | None
    found: list[Checkpoint] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _before: Mapping[str, str] = field(default_factory=dict)
    _weights: dict[str, frozenset[str]] = field(default_factory=dict)

    def take(self, commit: Commit, files: Sequence[File]) -> None:
        """Add what a commit saved: each folder whose weights it changed.

        A commit whose title names a step, but that changed no weights, counts as well: it saved the same ones.
        """
        safe = tuple(f for f in files if is_safe(f.path))
        if len(safe) < len(files) and not self.notes:
            self.notes.append("files with hostile names (.., absolute paths) were left out")
        here = {f.path: f.content_id for f in safe}
        folders = weight_folders(safe)
        new = [name for name, rows in folders.items() if _ids(rows) != self._weights.get(name)]
        for name in new:
            self._add(commit, name, folders[name], here, changed=True)
        if not new and "" in folders and _names_a_save(commit.title):
            self._add(commit, "", folders[""], here, changed=False)
        self._weights = {name: _ids(rows) for name, rows in folders.items()}
        self._before = here

    def _add(
        self, commit: Commit, folder: str, files: list[File], here: Mapping[str, str], *, changed: bool
    ) -> None:
        touched = {p for p in (here.keys() | self._before.keys()) if here.get(p) != self._before.get(p)}
        inside = tuple(sorted(p for p in touched if not folder or p.startswith(f"{folder}/")))
        checkpoint = of_commit(self.repo.name, commit, folder, files, endpoint=self.endpoint)
        missing = [f.path for f in files if is_weight(f.path) and not self.repo.has(f)]
        notes = [] if changed else ["its weights are those of the checkpoint before"]
        if missing:
            notes.append(f"the content of {missing[0]} was not fetched: {self.repo.remedy}")
        self.found.append(
            replace(checkpoint, changed=changed, changed_files=inside, notes=(*checkpoint.notes, *notes))
        )


def of_commit(
    repo: str, commit: Commit, folder: str, files: Iterable[File], *, endpoint: str | None = None
) -> Checkpoint:
    """A commit's folder as a checkpoint, its step read from folder and title."""
    facts = read_title(commit.title)
    from_folder = None if folder.endswith(_LAST) else read_title(PurePosixPath(folder).name)
    step = facts.step
    source: StepSource = "title" if step is not None else "unknown"
    if from_folder is not None and from_folder.step is not None:
        step, source = from_folder.step, "folder"
    notes = ("a pickle: its weights can run code when they are loaded",) if _only_pickles(files) else ()
    return Checkpoint(
        repo=repo, revision=commit.revision, title=commit.title, own_step=step, step=step, subfolder=folder,
        step_source=source,
        epoch=facts.epoch if facts.epoch is not None or from_folder is None else from_folder.epoch,
        saved_at=commit.saved_at, files=tuple(files), endpoint=endpoint, notes=notes,
    )  # fmt: skip


def weight_folders(files: Iterable[File]) -> dict[str, list[File]]:
    """Files by the folder that holds weights; a diffusers pipeline is one, with its parts."""
    rows = list(files)
    pipelines = {_parent(f.path) for f in rows if PurePosixPath(f.path).name == _PIPELINE}
    by_folder: dict[str, list[File]] = {}
    for file in rows:
        folder = _parent(file.path)
        above = _parent(folder) if folder else None
        by_folder.setdefault(above if above is not None and above in pipelines else folder, []).append(file)
    return {name: inside for name, inside in by_folder.items() if any(is_weight(f.path) for f in inside)}


def is_safe(path: str) -> bool:
    """Whether a path from a repository stays inside the folder that it is written to."""
    pure = PurePosixPath(path)
    hostile = pure.is_absolute() or ".." in pure.parts or "\\" in path or re.match(r"^[A-Za-z]:", path)
    return not hostile and path.isprintable() and bool(path)


def _parent(path: str) -> str:
    folder = str(PurePosixPath(path).parent)
    return "" if folder == "." else folder


def _ids(files: Iterable[File]) -> frozenset[str]:
    return frozenset(f.content_id for f in files if is_weight(f.path))


def _only_pickles(files: Iterable[File]) -> bool:
    kinds = {PurePosixPath(f.path).suffix for f in files if is_weight(f.path)}
    return bool(kinds & {".bin", ".pt", ".pth"}) and ".safetensors" not in kinds


def _names_a_save(title: str) -> bool:
    """A title with a step; the second commit of a save, into ``last-checkpoint``, is no save of the root."""
    return read_title(title).step is not None and not title.lower().rstrip().endswith(", checkpoint")


def _other_refs(repo: Repo, commits: Sequence[Commit], revision: str | None) -> list[Ref]:
    """Branches, tags and pull requests that are not the line itself. A host without them has none."""
    try:
        refs = repo.refs()
    except NotFound:
        return []
    newest = commits[-1].revision if commits else None
    return [r for r in refs if r.name != revision and not (r.kind == "branch" and r.revision == newest)]


def _named_after_steps(refs: Sequence[Ref], commits: Sequence[Commit]) -> list[Commit]:
    """Branches and tags such as ``step1000``, each a checkpoint that the history does not hold."""
    known = {c.revision for c in commits}
    facts = [(r, read_title(r.name)) for r in refs if r.kind != "pull request" and r.revision not in known]
    named = sorted(
        ((f.step if f.step is not None else -1, f.epoch or 0.0, r.name, r.revision) for r, f in facts
         if f.step is not None or f.epoch is not None)
    )  # fmt: skip
    return [Commit(revision, np.nan, name) for _, _, name, revision in named[:NAMED_REFS]]


def _of_ref(
    repo: Repo, endpoint: str | None, commit: Commit, trees: Mapping[str, tuple[File, ...]]
) -> list[Checkpoint]:
    safe = [f for f in trees.get(commit.revision, ()) if is_safe(f.path)]
    folders = weight_folders(safe)
    found = [of_commit(repo.name, commit, name, rows, endpoint=endpoint) for name, rows in folders.items()]
    return [
        replace(c, saved_at=None, step_source="branch" if c.step_source == "title" else c.step_source)
        for c in found
    ]


def _with_states(repo: Repo, found: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Steps and epochs from ``trainer_state.json``: of each checkpoint that has no other, and of the newest one.

    The newest one's log tells the epoch of every step before it, so that no other needs to be read.
    """
    with_state = [c for c in found if c.file(STATE) is not None]
    newest = max(with_state, key=lambda c: (c.own_step or 0, c.saved_at or 0), default=None)
    states: dict[int, tuple[int, Mapping[int, float]]] = {}
    for checkpoint in with_state:
        if checkpoint is newest or checkpoint.own_step is None:
            state = _read_state(repo, checkpoint)
            if state is not None:
                states[id(checkpoint)] = state
    epochs = {step: epoch for _, log in states.values() for step, epoch in log.items()}
    known = sorted(epochs)
    done = []
    for checkpoint in found:
        own = states.get(id(checkpoint))
        if checkpoint.own_step is None and own is not None:
            checkpoint = replace(checkpoint, own_step=own[0], step=own[0], step_source="trainer_state")
        step = checkpoint.own_step
        if checkpoint.epoch is None and step is not None and known and known[0] <= step <= known[-1]:
            epoch = float(np.interp(step, known, [epochs[s] for s in known]))
            checkpoint = replace(checkpoint, epoch=round(epoch, 3))
        done.append(checkpoint)
    return done


def _read_state(repo: Repo, checkpoint: Checkpoint) -> tuple[int, Mapping[int, float]] | None:
    """Global step, and the epoch at each logged step."""
    file = checkpoint.file(STATE)
    if file is None:
        return None
    try:
        state = checked(read_json(repo.content(str(checkpoint.revision), file.path)), SavedState)
    except (ValueError, InputError, NotFound):
        return None
    rows = (or_none(entry, LoggedEpoch) for entry in state.log_history)
    return state.global_step, {r.step: r.epoch for r in rows if r is not None} | {
        state.global_step: state.epoch
    }


def _with_twins(found: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Name the earlier checkpoint with the same weights; it tells the step of one that has none of its own."""
    first: dict[frozenset[str], Checkpoint] = {}
    done = []
    for checkpoint in found:
        twin = first.setdefault(_ids(checkpoint.files), checkpoint)
        if twin is not checkpoint:
            checkpoint = replace(checkpoint, same_as=twin.name)
            if checkpoint.own_step is None and twin.own_step is not None:
                step = twin.own_step
                checkpoint = replace(
                    checkpoint, own_step=step, step=step, step_source="weights", epoch=twin.epoch
                )
        done.append(checkpoint)
    return done


def _notes(
    commits: Sequence[Commit], refs: Sequence[Ref], named: Sequence[Commit], found: Sequence[Checkpoint]
) -> list[str]:
    notes = []
    if not commits:
        notes.append("nothing was committed yet")
    elif not found:
        notes.append(f"no commit of {len(commits)} holds weights yet")
    if any(read_title(c.title).squashed for c in commits):
        notes.append("its history was squashed: the checkpoints before are gone, only the last state is left")
    shown = {c.title for c in named}
    others = [r for r in refs if r.name not in shown and r.revision not in {c.revision for c in commits}]
    for kind, plural in (("branch", "branches"), ("tag", "tags"), ("pull request", "pull requests")):
        names = [r.name for r in others if r.kind == kind]
        if names:
            listed = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
            count = f"{len(names)} other {kind if len(names) == 1 else plural}"
            notes.append(
                f"{count} with commits that are not in this history: {listed} (list one with @{names[0]})"
            )
    return notes
