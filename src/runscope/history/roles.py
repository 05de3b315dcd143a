"""Which logged name plays which role; what else could play it is said in a note, with the reason for the choice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runscope.history.metrics import meaning
from runscope.history.role_names import (
    CLOCKS,
    EXACT,
    HELD_OUT,
    PATTERNS,
    SET_WORDS,
    TRAIN,
    plain_name,
    wrapped_in,
)
from runscope.history.series import Series

_SAME_CURVE = r"_(?:step|epoch)$|^(?:(?:batch|epoch|train)_)+"
"""What Lightning and Keras add for the mean of a step and of an epoch: two views of one metric."""
_SCORE_OF_WHAT = "(?:acc|accuracy|f1|auc)"
_MONOTONE = rf"{HELD_OUT}_(?:.*_)?(?:ppl|perplexity|error|err|mse|mae|rmse)"
"""Held-out metrics that fall when the loss does, and are none."""

AXES = (
    "train/global_step", "trainer/global_step", "global_step", "train/step", "step", "Step", "iter", "iteration",
    "iterations", "batch/batch_step", "epoch/epoch", "_step",
)  # fmt: skip
"""Names that a run may count its steps in, best first."""


@dataclass(frozen=True)
class RoleAssignment:
    """Role → logged name, and what could not be decided."""

    roles: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Logged:
    """A logged metric, as far as the choice of a role needs it.

    Attributes:
        name, plain: as logged, and without case and separators.
        points: how many values.
        first, last: first and last step.
    """

    name: str
    plain: str
    points: int
    first: int
    last: int

    @property
    def span(self) -> int:
        """Steps from its first to its last point."""
        return self.last - self.first


ENOUGH = 0.5
"""Share of the points, and of the steps, of the fullest candidate that another needs to be a curve as good as it:
two views of one metric are logged side by side; a mean of an epoch, or a closing summary, has far fewer points."""
_LOSSES = ("train_loss", "eval_loss")


def assign_roles(series: Mapping[str, Series], *, step_key: str = "step") -> RoleAssignment:
    """Find which logged name plays which role.

    Names propose, the data decides: candidates are the names of a fixed list, then names that match a pattern, best
    first; of the candidates of one kind the first is taken that has at least half as many points, over half as many
    steps, as the fullest one. A name that was logged once, at the end, sums a curve up and is none where there is
    another. Training and held-out loss are paired: ``train/box_loss`` goes with ``val/box_loss``.
    """
    head = wrapped_in(series)
    logged = {
        name: _Logged(name, plain_name(name.removeprefix(head)), len(s), int(s.step.min()), int(s.step.max()))
        for name, s in series.items()
        if len(s)
    }
    roles: dict[str, str] = {}
    notes: list[str] = []
    for role in dict.fromkeys((*EXACT, *PATTERNS)):
        taken = set(roles.values())
        free = [
            one
            for name, one in logged.items()
            if name not in taken and name != "_step" and not _so_far(one.plain)
        ]
        kinds = [kind for kind in _candidates(role, free) if kind]
        chosen = _chosen(kinds)
        if chosen is not None:
            roles[role] = chosen.name
            if role in _LOSSES:
                notes += _why(role, chosen, kinds)
    _two_sets(roles, series, notes)
    _pair_losses(roles, logged, notes)
    _find_twins(roles, logged, notes)
    _drop_parts(roles, logged, notes)
    if step_key in roles.values():
        roles = {r: n for r, n in roles.items() if n != step_key or r == "epoch"}
    _add_undecided(roles, logged, notes)
    return RoleAssignment(roles, tuple(notes))


_FIRST_SET = re.compile(r"^((?:validation|valid|val|eval)_)0(_.+)$")
"""How XGBoost and LightGBM call the first of the sets that were given for evaluation: in their examples the training
data, where there are two."""


def _two_sets(roles: dict[str, str], series: Mapping[str, Series], notes: list[str]) -> None:
    """Take the second of two numbered sets as held out where the first is fitted better and no loss is of training."""
    first = roles.get("eval_loss")
    found = None if first is None or "train_loss" in roles else _FIRST_SET.match(plain_name(first))
    if first is None or found is None:
        return
    second = next((name for name in series if plain_name(name) == f"{found[1]}1{found[2]}"), None)
    if second is None or not len(series[second]) or not series[first].value[-1] < series[second].value[-1]:
        return
    roles["train_loss"], roles["eval_loss"] = first, second
    notes[:] = [note for note in notes if " is taken as eval_loss" not in note]
    notes.append(
        f"{second} is taken as eval_loss and {first}, which is lower, as train_loss: nothing says which data they are "
        f"of (--map eval_loss={first} takes the first)"
    )


def _candidates(role: str, free: list[_Logged]) -> list[list[_Logged]]:
    """Names that could play a role, a list a kind of name, best first: usual ones, whole losses, patterns."""
    wanted = EXACT.get(role, ())
    place = {plain: n for n, plain in enumerate(wanted)}
    exact = sorted((one for one in free if one.plain in place), key=lambda one: place[one.plain])
    whole = [one for one in free if one.plain not in place and _is_whole(role, one.plain)]
    whole.sort(key=lambda one: -one.points)
    kinds = [exact, whole]
    named = {*exact, *whole}
    for pattern in PATTERNS.get(role, ()):
        found = [one for one in free if re.fullmatch(pattern, one.plain) and one not in named]
        if role == "train_loss":
            found = [one for one in found if not re.match(HELD_OUT, one.plain)]
        if role == "eval_loss":
            found = [one for one in found if not _of_training_data(one.plain)]
        kinds.append(sorted(found, key=lambda one: (-one.points, one.name)))
    return kinds


_WHOLE_WORDS = frozenset(
    ("step", "epoch", "iter", "iteration", "batch", "running", "avg", "average", "mean", "total", "loss", "losses",
     "trainer", "global", "log", "scalars")
)  # fmt: skip


def _is_whole(role: str, plain: str) -> bool:
    """Whether a name says a loss, perhaps of which data and over what it was averaged, but of no part of it."""
    own = SET_WORDS.get(role)
    words = plain.split("_")
    if own is None or not {"loss", "losses"} & set(words) or not own | _WHOLE_WORDS >= set(words):
        return False
    return bool(own & set(words)) or (role == "train_loss" and len(words) > 1)


def _of_training_data(plain: str) -> bool:
    """A loss that an evaluation took on the training examples: ``eval/train_loss``."""
    return bool(SET_WORDS["train_loss"] & set(plain.split("_")))


def _chosen(kinds: list[list[_Logged]]) -> _Logged | None:
    """The best name that is a curve; where no name is one, the best name."""
    everything = [one for kind in kinds for one in kind]
    if not everything:
        return None
    for kind in kinds:
        best = next(one for one in kind if _as_full(one, kind))
        if not any(_sums_up(best, [other]) or _ends(best, other) for other in everything):
            return best
    return everything[0]


def _as_full(one: _Logged, others: list[_Logged]) -> bool:
    """Whether a curve has about as many points as the fullest of those that cover the run, and covers it too."""
    span = ENOUGH * max(other.span for other in (one, *others))
    most = max((other.points for other in others if other.span >= span), default=0)
    return one.points >= ENOUGH * most and one.span >= span


def _ends(one: _Logged, other: _Logged) -> bool:
    """Whether a curve lies in the later half of another one that has far more points: a last test, a second set."""
    return one.first > other.first + ENOUGH * other.span and one.points < ENOUGH * other.points


def _sums_up(one: _Logged, others: list[_Logged]) -> bool:
    """Whether a name has one point, at the end of the curve that another name is."""
    return one.points == 1 and any(other.points > 2 and one.first >= other.last for other in others)


def _why(role: str, chosen: _Logged, kinds: list[list[_Logged]]) -> list[str]:
    """What else could play a role, and why it was not taken; nothing where one name is another view of the same."""
    order = [one for kind in kinds for one in kind]
    kind = next(kind for kind in kinds if chosen in kind)
    fewer = [one for one in order[: order.index(chosen)] if not _as_full(one, [chosen])]
    alike = [one for one in kind if _as_full(one, [chosen]) and _stem(one.plain) != _stem(chosen.plain)]
    notes = []
    if alike:
        notes.append(
            f"{chosen.name} is taken as {role}; {_few([one.name for one in alike], 3)} could be it too: "
            f"--map {role}={alike[0].name} takes that"
        )
    elif fewer:
        other = fewer[0]
        notes.append(
            f"{chosen.name} is taken as {role}: it has {_points(chosen.points)}, {other.name} has "
            f"{other.points:,} (--map {role}={other.name} takes that)"
        )
    return notes


def _stem(plain: str) -> str:
    return re.sub(_SAME_CURVE, "", plain)


def _points(count: int) -> str:
    return f"{count:,} point{'' if count == 1 else 's'}"


def _add_undecided(roles: dict[str, str], logged: Mapping[str, _Logged], notes: list[str]) -> None:
    """What a name alone does not tell: a score of no named data, losses of no named part, stand-ins for a loss."""
    scores = [
        n for n, one in logged.items() if re.fullmatch(_SCORE_OF_WHAT, one.plain) and n not in roles.values()
    ]
    if scores and "eval_metric" in roles:
        roles.setdefault("train_metric", scores[0])
    elif scores:
        notes.append(
            f"{scores[0]} may be of training or of held-out data: say it with --map train_metric={scores[0]} "
            f"or --map eval_metric={scores[0]}"
        )
    for role, words in _OF_WHAT.items():
        only = [n for n, one in logged.items() if one.plain in words and one.points > 1]
        if only and role not in roles:
            notes.append(
                f"{only[0]} says which data, but not what was measured: if it is a loss, --map {role}={only[0]} says so"
            )
    if "train_loss" not in roles:
        losses = [n for n, one in logged.items() if _may_be_trained_on(one) and n not in roles.values()]
        if losses:
            notes.append(
                f"no name says which loss is trained on: {_few(losses)} could be it: decide with "
                f"--map train_loss={losses[0]}"
            )
    pair = None if roles.keys() & set(_LOSSES) else _unnamed_pair(logged)
    if pair is not None:
        notes.append(
            f"no name says a loss; {pair[0]} and {pair[1]} could be it: "
            f"--map train_loss={pair[0]} --map eval_loss={pair[1]}"
        )
    if "eval_loss" not in roles:
        trained = logged.get(roles.get("train_loss", ""))
        bare = [
            n for n, one in logged.items() if one.plain == "loss" and one.points > 1 and one is not trained
        ]
        if bare and trained is not None and SET_WORDS["train_loss"] & set(trained.plain.split("_")):
            notes[:] = [note for note in notes if f"train_loss={bare[0]} takes" not in note]
            notes.append(
                f"{bare[0]}, beside {trained.name}, may be of held-out data: --map eval_loss={bare[0]} says so"
            )
        instead = [n for n, one in logged.items() if re.fullmatch(_MONOTONE, one.plain) and one.points > 1]
        if instead:
            notes.append(
                f"no held-out loss was logged; {_few(instead)} could stand in for it: --map eval_loss={instead[0]}"
            )
    judged = [n for n, one in logged.items() if one.points > 1 and one.plain not in CLOCKS and n != "_step"]
    if judged and not notes and not roles.keys() - _NO_CURVES:
        notes.append(
            f"no name says a loss or a score: {_few(judged)} could be one (--map train_loss={judged[0]})"
        )


_NO_CURVES = frozenset(("learning_rate", "grad_norm", "epoch", "tokens", "samples"))
"""Roles of what is watched beside a curve."""


def _unnamed_pair(logged: Mapping[str, _Logged]) -> tuple[str, str] | None:
    """A metric and the same of held-out data, where no name says a loss: ``objective`` and ``val_objective``."""
    stems: dict[str, str] = {}
    for name, one in logged.items():
        if one.points > 1 and not _HELD_OUT_WORD.search(one.plain):
            stems.setdefault(_SET_WORD.sub("", one.plain).strip("_"), name)
    for name, one in logged.items():
        stem = _SET_WORD.sub("", one.plain).strip("_")
        if one.points > 1 and _HELD_OUT_WORD.search(one.plain) and stem in stems and meaning(name) is None:
            return stems[stem], name
    return None


_BEST = frozenset(("best", "lowest", "highest"))


def _so_far(plain: str) -> bool:
    """Whether a name is of the best value so far, which no curve is."""
    return bool(_BEST & set(plain.split("_")))


_OF_WHAT = {
    "train_loss": ("train", "training"),
    "eval_loss": ("val", "valid", "validation", "eval", "dev", "test"),
}


def _may_be_trained_on(one: _Logged) -> bool:
    words = one.plain.split("_")
    if not {"loss", "losses"} & set(words) or {"scale", "scaler", "weight"} & set(words):
        return False
    return one.points > 1 and not re.match(HELD_OUT, one.plain)


def _few(names: list[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


_SET_WORD = re.compile(rf"(?:^|_)(?:{TRAIN}|{HELD_OUT}|test)(?=_|$)")
_HELD_OUT_WORD = re.compile(rf"(?:^|_)(?:{HELD_OUT}|test)(?=_|$)")


def _find_twins(roles: dict[str, str], logged: Mapping[str, _Logged], notes: list[str]) -> None:
    """Where one of the two losses has a name that says so, the other one is called like it but for the data.

    ``val_ce_loss`` goes with ``ce_loss``, ``xent`` with ``val_xent``.
    """
    for role, other, wanted in (("train_loss", "eval_loss", False), ("eval_loss", "train_loss", True)):
        known = logged.get(roles.get(other, ""))
        if known is None or role in roles:
            continue
        stem = _SET_WORD.sub("", known.plain).strip("_")
        twins = [
            one.name for one in logged.values()
            if one.points > 1 and one.name not in roles.values() and _SET_WORD.sub("", one.plain).strip("_") == stem
            and bool(_HELD_OUT_WORD.search(one.plain)) is wanted and not (wanted and _of_training_data(one.plain))
        ]  # fmt: skip
        if stem and twins:
            roles[role] = twins[0]
            rest = [n for n, one in logged.items() if _may_be_trained_on(one) and n not in roles.values()]
            if role == "train_loss" and rest:
                notes.append(
                    f"{twins[0]} is taken as train_loss, as {known.name} is taken as eval_loss; {_few(rest)} could "
                    f"be it too: --map train_loss={rest[0]} takes that"
                )


_PARTS = frozenset(
    ("aux", "auxiliary", "reg", "regularization", "regularizer", "penalty", "router", "balance", "balancing",
     "commit", "commitment", "adv", "adversarial", "perceptual")
)  # fmt: skip
"""What is added to a loss: its curve says nothing of the whole."""


def _drop_parts(roles: dict[str, str], logged: Mapping[str, _Logged], notes: list[str]) -> None:
    """No part of a loss stands for the whole, unless the same part is all that there is of the other data too."""
    said = {role: _PARTS & set(logged[roles[role]].plain.split("_")) for role in _LOSSES if role in roles}
    paired = len(said) == 2 and len(set(map(frozenset, said.values()))) == 1
    for role in (role for role, parts in said.items() if parts and not paired):
        name = roles.pop(role)
        notes[:] = [note for note in notes if f" is taken as {role}" not in note]
        notes.append(
            f"{name} is called a part of a loss, and is not taken as {role}: --map {role}={name} takes it"
        )


def _pair_losses(roles: dict[str, str], logged: Mapping[str, _Logged], notes: list[str]) -> None:
    """Take the held-out loss that has the training loss's own suffix, where there is one that is a curve as good."""
    train, taken = roles.get("train_loss"), roles.get("eval_loss")
    if train is None or taken is None:
        return
    suffix = re.sub(rf"^{TRAIN}_", "", logged[train].plain)
    by_plain = {one.plain: one for one in logged.values()}
    for head in ("eval", "val", "valid", "validation"):
        other = by_plain.get(f"{head}_{suffix}")
        if other is not None and _as_full(other, [logged[taken]]):
            roles["eval_loss"] = other.name
            if other.name != taken:
                notes[:] = [note for note in notes if " is taken as eval_loss" not in note]
                notes.append(
                    f"{other.name} is taken as eval_loss, as {train} is taken as train_loss; {taken} could be it "
                    f"too: --map eval_loss={taken} takes that"
                )
            return
