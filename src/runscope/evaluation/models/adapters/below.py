"""The model below an adapter of a classifier, a tagger or another head: the base with a head as large as the saved one.

The base mostly has no such head, or another task's. transformers gives it a random one then, which is right only where
the adapter brings the trained one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from runscope.errors import InputError
from runscope.evaluation.models import loading
from runscope.evaluation.models.adapters.adapter import Adapter
from runscope.evaluation.models.adapters.trained_as import plain_name
from runscope.evaluation.models.saved.kinds import kind_of, refuse_quantised
from runscope.evaluation.settings import EvaluateSettings

SAVE_IT = "save the head with the adapter (modules_to_save), or name the model that has it with --base"
OF_TEXT = ("classify", "regression")


def load_below(
    base: str, adapter: Adapter, settings: EvaluateSettings, device: str, dtype: Any
) -> tuple[Any, tuple[str, ...]]:
    """A base with the head that an adapter was trained with.

    Args:
        base: folder or Hub name.
        adapter: what will be put on.
        settings, device, dtype: how it is loaded.

    Returns:
        The model, and names of those of its weights that the base did not have, or had for other labels: the
        adapter brings them all.

    Raises:
        UnsafeFile: the base's weights are pickles.
        InputError: the head is in neither, or the base cannot be loaded or is quantised.
    """
    own = loading.config_of(base)
    refuse_quantised(f"the model {base}", own)
    same = kind_of(own)[0].auto == adapter.kind.auto
    config, final = _config(base, own if same else {}, adapter, settings)
    model, told = loading.read_model(
        base, adapter.kind.auto, settings, device, dtype, config=config, ignore_mismatched_sizes=True
    )
    fresh = {str(n) for n in told["missing_keys"]} | {str(m[0]) for m in told.get("mismatched_keys") or ()}
    fresh |= set() if same else final  # another task's head may bear the same name
    refuse_random(fresh, adapter, base)
    if same and _names(own) not in (None, dict(config.id2label)):  # its head speaks of other labels
        fresh |= final & {plain_name(n) for n in adapter.shapes}
    count = int(getattr(model.config, "num_labels", 0) or 0)
    one = count == 1 or config.problem_type == "regression"
    if final and one != (adapter.kind.task == "regression") and adapter.kind.task in OF_TEXT:
        raise InputError(
            f"the head of the adapter in {adapter.folder} gives {count:,} numbers, and its file does not say so",
            hint=SAVE_IT,
        )
    model.eval()
    return model, tuple(sorted(fresh))


def refuse_random(fresh: Iterable[str], adapter: Adapter, base: str) -> None:
    """Stop where weights that a base does not have are not in the adapter either.

    Raises:
        InputError: they would be random.
    """
    lost = sorted(set(fresh) - {plain_name(n) for n in adapter.shapes})
    if lost:
        raise InputError(
            f"the adapter in {adapter.folder} cannot be evaluated: {', '.join(lost[:3])}"
            f"{', …' if len(lost) > 3 else ''} {'is' if len(lost) == 1 else 'are'} neither in the adapter nor in its "
            f"base {base}, and would be random",
            hint=SAVE_IT,
        )


def _config(
    base: str, own: Mapping[str, Any], adapter: Adapter, settings: EvaluateSettings
) -> tuple[Any, set[str]]:
    """The configuration with the head's number of labels and their names, and which weights depend on that number.

    The saved head decides how many there are; the adapter's own ``config.json``, else the base's, what they are called.
    """
    transformers: Any = import_module("transformers")
    trust = settings.trust_remote_code
    config = transformers.AutoConfig.from_pretrained(base, trust_remote_code=trust)
    beside = loading.config_of(str(adapter.folder)) if (adapter.folder / "config.json").is_file() else {}
    final = _of_labels(adapter.kind.auto, config, trust)
    saved = {plain_name(n): shape for n, shape in adapter.shapes.items()}
    counts = {saved[n][0] for n in final if n in saved}
    if len(counts) > 1:
        raise InputError(
            f"the head of the adapter in {adapter.folder} has {' and '.join(map(str, sorted(counts)))} labels at once",
            hint=loading.NAME_IT,
        )
    names = next((n for c in (beside, own) if (n := _names(c)) and (not counts or {len(n)} == counts)), None)
    if counts:
        config.num_labels = counts.pop()
    if names is not None:
        config.id2label, config.label2id = names, {name: number for number, name in names.items()}
    elif final:
        config.id2label = {n: f"LABEL_{n}" for n in range(config.num_labels)}
        config.label2id = {name: number for number, name in config.id2label.items()}
    config.problem_type = beside.get("problem_type") or own.get("problem_type")
    return config, final


def _names(config: Mapping[str, Any]) -> dict[int, str] | None:
    names = config.get("id2label")
    return {int(k): str(v) for k, v in names.items()} if isinstance(names, Mapping) and names else None


def _of_labels(auto: str, config: Any, trust: bool) -> set[str]:
    """Names of the weights of which the size is the number of labels, told by making the model without memory twice."""
    import copy

    import torch

    transformers: Any = import_module("transformers")
    shapes: list[dict[str, Any]] = []
    for count in (2, 3):
        asked = copy.deepcopy(config)
        asked.num_labels = count
        try:
            with torch.device("meta"):
                model = getattr(transformers, auto).from_config(asked, trust_remote_code=trust)
        except Exception as error:  # of every kind: a family that has no such head, or needs a library
            raise InputError(
                f"the base cannot be given the head of an {auto}: {loading.first_line(error)}",
                hint=loading.NAME_IT,
            ) from error
        shapes.append({n: p.shape for n, p in model.named_parameters()})
    return {n for n, shape in shapes[0].items() if shape != shapes[1].get(n)}
