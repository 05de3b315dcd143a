"""Models on this machine: the base is loaded once, adapters are swapped."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runscope.errors import InputError, MissingExtra
from runscope.evaluation.encoding import Encoded, batches, encode
from runscope.evaluation.examples import Example
from runscope.evaluation.settings import EvaluateSettings
from runscope.stats.arrays import Floats

ADAPTERS_KEPT = 32
"""Adapters held in memory: a race comes back to the same few again and again."""
BATCH_TOKENS = {"cpu": 2048, "cuda": 32768, "mps": 8192}
LONGEST = 4096
"""Longest example where the tokenizer names no limit of its own."""


class LocalModels:
    """Checkpoints of one training, ready to be evaluated.

    Args:
        settings: device, dtype and batch size.
        base: folder or Hub name of the base model; None takes what the adapters name.

    Raises:
        MissingExtra: torch, transformers or peft is not installed.
    """

    def __init__(self, settings: EvaluateSettings, base: str | Path | None = None) -> None:
        self.torch, self.transformers = _import_all()
        self.settings = settings
        self.device = _device(self.torch, settings.device)
        self.dtype = _dtype(self.torch, settings.dtype, self.device)
        self.batch_tokens = settings.batch_tokens or BATCH_TOKENS[self.device]
        self.base = str(base) if base is not None else None
        self.tokenizer: Any = None
        self.model: Any = None
        self._adapters: list[str] = []
        self._loaded = ""

    def use(self, folder: Path) -> None:
        """Make the checkpoint in a folder the one that answers.

        Raises:
            InputError: neither an adapter nor a model, or the base cannot be loaded.
        """
        if str(folder) == self._loaded:
            return
        with warnings.catch_warnings():
            # Advice for who trains or merges adapters, and matters between peft and transformers.
            warnings.filterwarnings("ignore", category=FutureWarning)
            warnings.filterwarnings("ignore", "Model has `tie_word_embeddings", UserWarning)
            self._load(folder)
        self.model.eval()
        self._loaded = str(folder)

    def _load(self, folder: Path) -> None:
        if (folder / "adapter_config.json").exists():
            self._use_adapter(folder)
        elif (folder / "config.json").exists():
            self.model, self._adapters = self._load_model(str(folder)), []
            self.tokenizer = self.tokenizer or self._load_tokenizer(folder)
        else:
            raise InputError(
                f"{folder} holds weights, but no config.json or adapter_config.json",
                hint="a checkpoint of the Trainer or of peft has one",
            )

    def _use_adapter(self, folder: Path) -> None:
        from peft import PeftModel

        name = f"at-{folder}".replace(".", "_").replace("/", "_")
        if self.model is None or not self._adapters:
            base = self.base or str(
                json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
            )
            model = self._load_model(base)
            self.tokenizer = self._load_tokenizer(folder, Path(base))
            self.model = PeftModel.from_pretrained(model, str(folder), adapter_name=name)
            self._adapters = [name]
        elif name not in self._adapters:
            self.model.load_adapter(str(folder), adapter_name=name)
            self._adapters.append(name)
        self.model.set_adapter(name)
        if len(self._adapters) > ADAPTERS_KEPT:
            self.model.delete_adapter(self._adapters.pop(0))

    def _load_model(self, name: str) -> Any:
        try:
            model = self.transformers.AutoModelForCausalLM.from_pretrained(
                name, dtype=self.dtype, use_safetensors=None if self.settings.allow_pickle else True,
                trust_remote_code=self.settings.trust_remote_code,
            )  # fmt: skip
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"the model {name} cannot be loaded: {str(error).splitlines()[0]}",
                hint="name the folder or Hub repository of the base model with --base",
            ) from error
        return model.to(self.device)

    def _load_tokenizer(self, *places: Path) -> Any:
        """The tokenizer that lies with the checkpoint, else the base's."""
        for place in places:
            if place.is_dir() and not any(place.glob("tokenizer*")):
                continue
            try:
                tokenizer = self.transformers.AutoTokenizer.from_pretrained(
                    str(place), trust_remote_code=self.settings.trust_remote_code
                )
            except (OSError, ValueError):
                continue
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
            return tokenizer
        raise InputError(
            f"no tokenizer lies at {' or '.join(map(str, places))}",
            hint="name a base that has one with --base",
        )

    def encode(self, examples: Sequence[Example]) -> list[Encoded]:
        """Token ids of examples; a model must be in use."""
        longest = self.tokenizer.model_max_length
        limit = min(longest if longest < 10**9 else LONGEST, self._positions())
        return [encode(self.tokenizer, e, limit) for e in examples]

    def _positions(self) -> int:
        return int(getattr(self.model.config, "max_position_embeddings", None) or LONGEST)

    def losses(self, encoded: Sequence[Encoded]) -> tuple[Floats, Floats]:
        """Negative log-likelihood of each example's scored tokens, summed, in nats; and their number.

        A batch that does not fit in memory is halved, and so are all after it.

        Raises:
            InputError: a single example does not fit.
        """
        total = np.zeros(len(encoded))
        waiting = list(batches(encoded, self.batch_tokens))[::-1]
        while waiting:
            batch = waiting.pop()
            try:
                total[batch] = self._batch_losses([encoded[i] for i in batch])
            except (self.torch.OutOfMemoryError, RuntimeError) as error:
                if not _out_of_memory(self.torch, error):
                    raise
                self._smaller(batch)
                half = len(batch) // 2
                waiting += [batch[half:], batch[:half]]
        return total, np.array([e.scored for e in encoded], dtype=np.float64)

    def _smaller(self, batch: Sequence[int]) -> None:
        if len(batch) == 1:
            raise InputError(
                "one example alone does not fit into memory", hint="a smaller dtype, or shorter examples"
            )
        self.batch_tokens = max(1, self.batch_tokens // 2)
        if self.device == "cuda":
            self.torch.cuda.empty_cache()

    def _batch_losses(self, rows: Sequence[Encoded]) -> Floats:
        """Sums over the scored tokens. Padded on the left, so that only the last logits are needed."""
        torch = self.torch
        ids, mask = self._padded([r.ids for r in rows])
        keep = max(r.scored for r in rows) + 1
        with torch.inference_mode():
            positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
            logits = self.model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                logits_to_keep=keep,
                use_cache=False,
            ).logits[:, -keep:-1]
            targets = ids[:, -(keep - 1) :]
            likelihood = torch.gather(logits.float().log_softmax(-1), 2, targets[:, :, None])[:, :, 0]
            scored = torch.tensor([r.scored for r in rows], device=ids.device)[:, None]
            counted = torch.arange(keep - 1, 0, -1, device=ids.device)[None, :] <= scored
            sums = -(likelihood.double() * counted).sum(dim=1)
        return np.asarray(sums.cpu().numpy(), dtype=np.float64)

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
        width = max(len(r) for r in rows)
        pad = self.tokenizer.pad_token_id or 0
        ids = self.torch.tensor([[pad] * (width - len(r)) + list(r) for r in rows], device=self.device)
        mask = self.torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows], device=self.device)
        return ids, mask

    def answers(self, encoded: Sequence[Encoded]) -> list[str]:
        """What the model says itself (greedy) where the completion begins, as long as the completion may be."""
        said = []
        for start in range(0, len(encoded), 16):
            rows = encoded[start : start + 16]
            ids, mask = self._padded([r.ids[: len(r.ids) - r.scored] for r in rows])
            with self.torch.inference_mode():
                made = self.model.generate(
                    input_ids=ids, attention_mask=mask, do_sample=False,
                    max_new_tokens=max(r.scored for r in rows), pad_token_id=self.tokenizer.pad_token_id,
                )  # fmt: skip
            said += [
                self.tokenizer.decode(m[ids.shape[1] :][: r.scored], skip_special_tokens=True)
                for m, r in zip(made, rows, strict=True)
            ]
        return said


def _import_all() -> tuple[Any, Any]:
    for package in ("torch", "transformers", "peft"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtra(package, extra="eval", needed_for="evaluating checkpoints") from error
    import torch
    import transformers

    _hush(transformers)
    return torch, transformers


def _hush(transformers: Any) -> None:
    """Its progress bars and warnings would stand between ours."""
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _device(torch: Any, wanted: str) -> str:
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _dtype(torch: Any, wanted: str, device: str) -> Any:
    if wanted != "auto":
        return getattr(torch, wanted)
    return torch.float32 if device == "cpu" else torch.bfloat16


def _out_of_memory(torch: Any, error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)
