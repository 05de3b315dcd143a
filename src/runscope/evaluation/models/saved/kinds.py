"""What kind of model a configuration names, and which kinds are evaluated.

``architectures`` decides, not what transformers could be made to load: it gives any body any head, and a new head is
random. One table; a kind that is to be evaluated gets a loader and loses its refusal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from runscope.errors import InputError

Config = Mapping[str, Any]
ELSEWHERE = (
    "docs/evaluation.md lists which kinds are evaluated; results per example that you computed elsewhere are judged "
    "by runscope evaluate --scores TABLE"
)


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
        name: as docs/evaluation.md has it.
        is_one: whether a configuration, of which the class is given too, names such a model.
        says: what such a model is, completing "it is …".
        hint: what to do about it.
        auto: transformers' class that loads it with its own head.
        task: what it is asked where the user does not say.
        reads: what it is given.
    """

    name: str
    is_one: Callable[[str, Config], bool]
    says: str = ""
    hint: str = ELSEWHERE
    auto: str = ""
    task: str = "loss"
    reads: Literal["text", "image", "audio"] = "text"

    @property
    def head(self) -> bool:
        """Whether it has a head that gives numbers and not text."""
        return bool(self.auto) and self.task not in ("loss", "transcribe", "embed")


def _named(pattern: str) -> Callable[[str, Config], bool]:
    return lambda architecture, _config: re.search(pattern, architecture) is not None


def _of_type(*types: str) -> Callable[[str, Config], bool]:
    return lambda _architecture, config: config.get("model_type") in types


def _one_label(architecture: str, config: Config) -> bool:
    labels = config.get("id2label")
    count = len(labels) if isinstance(labels, Mapping) else config.get("num_labels")
    return re.search(r"ForSequenceClassification$", architecture) is not None and count == 1


def _solves(problem: str, *endings: str) -> Callable[[str, Config], bool]:
    return lambda a, config: a.endswith(endings) and config.get("problem_type") == problem


def _one_number(architecture: str, config: Config) -> bool:
    """A classifier of pictures or sounds that was made a regression."""
    labels = config.get("id2label")
    count = len(labels) if isinstance(labels, Mapping) else config.get("num_labels")
    hears = _classifies_sounds(architecture, config) or architecture.endswith("ForImageClassification")
    return hears and (count == 1 or config.get("problem_type") == "regression")


def _encoder(_architecture: str, config: Config) -> bool:
    """BERT and its kin read in both directions unless they were told to be decoders."""
    return config.get("model_type") in BIDIRECTIONAL and not config.get("is_decoder")


def _encoder_body(architecture: str, config: Config) -> bool:
    """BERT and its kin without a head, of which embeddings are the mean over the tokens."""
    body = architecture.endswith("Model") and not architecture.endswith("LMHeadModel")
    return body and _encoder(architecture, config)


def _sees(_architecture: str, config: Config) -> bool:
    return any(key in config for key in ("vision_config", "visual", "vision_tower", "mm_vision_tower"))


def _hears(architecture: str, config: Config) -> bool:
    own = (config.get("model_type"), architecture) in READS_TEXT_TOO
    return not own and any(key in config for key in ("audio_config", "audio_encoder"))


def _vision_language(architecture: str, config: Config) -> bool:
    if (config.get("model_type"), architecture) in READS_TEXT_TOO:
        return False
    return (
        _sees(architecture, config)
        and re.search(r"For(ConditionalGeneration|CausalLM|Vision)|Llava", architecture) is not None
    )


BIDIRECTIONAL = {
    "bert", "roberta", "camembert", "electra", "xlm-roberta", "xlm-roberta-xl", "xlm-v", "big_bird", "rembert",
    "megatron-bert", "data2vec-text", "roberta-prelayernorm", "roformer", "ernie", "bert-generation", "xmod",
    "nystromformer", "convbert", "deberta", "deberta-v2", "distilbert", "albert", "mpnet", "modernbert", "layoutlm",
    "funnel", "longformer", "mobilebert", "squeezebert", "fnet", "ibert", "canine", "luke", "flaubert", "xlm", "xlnet",
}  # fmt: skip
READS_TEXT_TOO = {("gemma3", "Gemma3ForConditionalGeneration")}
"""Models for images and text of which the very class is transformers' causal language model; evaluated on text."""
WRITES_DOWN = r"^(Whisper|Moonshine)ForConditionalGeneration$"
SPEECH = ("whisper", "speech_to_text", "speech_to_text_2", "moonshine", "moonshine_streaming", "seamless_m4t",
          "seamless_m4t_v2", "speecht5", "speech-encoder-decoder", "kyutai_speech_to_text")  # fmt: skip


def _encoder_decoder(architecture: str, config: Config) -> bool:
    decoder_alone = architecture.endswith("ForCausalLM")
    both = bool(config.get("is_encoder_decoder")) or re.search(
        r"(MTModel|EncoderDecoderModel)$", architecture
    )
    return bool(both) and not decoder_alone


def _causal(architecture: str, config: Config) -> bool:
    return (
        re.search(r"(ForCausalLM|LMHeadModel|WithLMHead)$", architecture) is not None
        or (config.get("model_type"), architecture) in READS_TEXT_TOO
        # A repository's own code, which --trust-remote-code lets run.
        or "AutoModelForCausalLM" in (config.get("auto_map") or {})
    )


def _classifies_sounds(architecture: str, _config: Config) -> bool:
    hears = re.match(HEARS, architecture) is not None
    return architecture.endswith("ForAudioClassification") or (
        hears and architecture.endswith("ForSequenceClassification")
    )


HEARS = r"(Wav2Vec2|Hubert|WavLM|UniSpeech|SEW|Data2VecAudio|AST)"
"""Families of sound, of which transformers calls classifiers those of sequences."""
TEXT_ALONE = "only models of text are evaluated for now; " + ELSEWHERE
WITH_HEAD = "if a language model was saved without its head, save it with the head; " + ELSEWHERE
SPEECH_SAYS = "a model that writes down speech, and needs sound"
MASKED_SAYS = (
    "a masked language model: it fills gaps in a text that it sees whole, and writes none from left to right"
)
VISION = (
    r"For(VideoClassification|ImageClassificationWithTeacher|ObjectDetection|\w*Segmentation|DepthEstimation|"
    r"MaskedImageModeling|KeypointDetection|ImageToImage)$"
)
AUDIO = r"For(XVector|AudioFrameClassification|TextToSpeech|AudioTokenization)$"

EMBEDDINGS = Kind("model of embeddings", _encoder_body, "a model of embeddings: it gives vectors, and writes no text",
                  auto="AutoModel", task="embed")  # fmt: skip
CROSS_ENCODER = "a cross-encoder of sentence-transformers: its number goes through an activation of its own"
CAUSAL = Kind("causal language model", _causal, auto="AutoModelForCausalLM")
SEVERAL = "multi_label_classification"
MANY = _solves(SEVERAL, "Classification")
SEQUENCE = "AutoModelForSequenceClassification"
# fmt: off
KINDS: tuple[Kind, ...] = (
    Kind("regression of images or sounds", _one_number, "a regression of images or sounds: it gives numbers"),
    Kind("multi-label classification of sounds", lambda a, c: _classifies_sounds(a, c) and MANY(a, c),
         "a classifier of sounds that gives several labels at once"),
    Kind("speech recognition", _named(WRITES_DOWN), SPEECH_SAYS,
         auto="AutoModelForSpeechSeq2Seq", task="transcribe", reads="audio"),
    Kind("speech recognition by CTC", _named(r"ForCTC$"), SPEECH_SAYS,
         auto="AutoModelForCTC", task="transcribe", reads="audio"),
    Kind("sound classification", _classifies_sounds, "a classifier of sounds",
         auto="AutoModelForAudioClassification", task="classify-sounds", reads="audio"),
    Kind("speech recognition", _of_type(*SPEECH), SPEECH_SAYS),
    Kind("speech recognition", _named(r"For(SpeechSeq2Seq|RNNT|TDT)$"), SPEECH_SAYS),
    Kind("audio", _named(AUDIO), "a model of sound"),
    Kind("audio", _hears, "a model that hears sound beside text", TEXT_ALONE),
    Kind("multi-label image classification", _solves(SEVERAL, "ForImageClassification"), "a classifier of images",
         auto="AutoModelForImageClassification", task="multi-label-images", reads="image"),
    Kind("image classification", _named(r"ForImageClassification$"), "a classifier of images",
         auto="AutoModelForImageClassification", task="classify-images", reads="image"),
    Kind("vision", _named(VISION), "a model of images"),
    Kind("vision and language", _vision_language, "a model that reads images beside text", TEXT_ALONE),
    Kind("cross-encoder", lambda a, c: _one_label(a, c) and "sentence_transformers" in c, CROSS_ENCODER),
    Kind("multi-label classification", _solves(SEVERAL, "ForSequenceClassification"),
         "a classifier that gives several labels at once", auto=SEQUENCE, task="multi-label"),
    Kind("regression", _solves("regression", "ForSequenceClassification"),
         "a regression: it gives numbers for a text, and writes none", auto=SEQUENCE, task="regression"),
    Kind("reward model or regression", _one_label,
         "a reward model or a regression: it gives one number for a text, and writes none",
         auto=SEQUENCE, task="regression"),
    Kind("reward model", _named(r"Reward|ValueHead"), "a reward model of its own make, or one with a value head"),
    Kind("text classification", _named(r"ForSequenceClassification$"),
         "a classifier: it gives labels for a text, and writes none", auto=SEQUENCE, task="classify"),
    Kind("token classification", _named(r"ForTokenClassification$"),
         "a tagger: it gives a label for each token, and writes no text",
         auto="AutoModelForTokenClassification", task="tags"),
    Kind("question answering", _named(r"ForQuestionAnswering$"),
         "an extractive question answerer: it marks a span of a text, and writes none"),
    Kind("multiple choice", _named(r"ForMultipleChoice$"), "a model with a head for multiple choice",
         auto="AutoModelForMultipleChoice", task="multiple-choice"),
    Kind("masked language model", _named(r"ForMaskedLM$"), MASKED_SAYS, auto="AutoModelForMaskedLM", task="masked"),
    Kind("pre-training", _named(r"For(PreTraining|NextSentencePrediction)$"), MASKED_SAYS),
    Kind("multiple choice", _named(r"DoubleHeadsModel$"), "a model with a second head for multiple choice"),
    Kind("encoder-decoder", _encoder_decoder,
         "an encoder-decoder (sequence to sequence), as T5, BART and Marian are: its decoder reads an encoder",
         auto="AutoModelForSeq2SeqLM"),
    EMBEDDINGS,
    Kind("encoder", _encoder, "an encoder that sees a text whole: it predicts no text from left to right"),
    CAUSAL,
    Kind("vision and language", _sees, "a model that reads images (vision-language)", TEXT_ALONE),
    Kind("embeddings", _named(r"(Model|TextEncoder|ModelWithProjection)$"),
         "a body without a head, as models of embeddings are: it gives vectors, and writes no text", WITH_HEAD),
)
# fmt: on
"""The first that fits counts."""
SEQ2SEQ = next(kind for kind in KINDS if kind.name == "encoder-decoder")
UNKNOWN = Kind("unknown", lambda _a, _c: True, "of a kind that runscope does not know")

QUANTISED: Mapping[str, str] = {
    "gptq": "GPTQ", "awq": "AWQ", "compressed-tensors": "compressed-tensors", "fp8": "FP8", "fbgemm_fp8": "FP8",
    "mxfp4": "MXFP4", "aqlm": "AQLM", "quip": "QuIP#", "hqq": "HQQ", "quanto": "Quanto", "torchao": "torchao",
    "eetq": "EETQ", "higgs": "HIGGS", "vptq": "VPTQ", "spqr": "SpQR", "bitnet": "BitNet", "auto-round": "AutoRound",
    "modelopt": "ModelOpt", "finegrained_fp8": "FP8", "exl2": "EXL2",
}  # fmt: skip
"""Quantised weights by what ``quantization_config`` calls them; those of bitsandbytes are evaluated."""


_TYPES: Mapping[str, type] = {"model_type": str, "auto_map": dict, "id2label": dict, "num_labels": int}
"""What tells a kind, where it is of the type that it has to be; transformers says what is wrong with the rest."""


def kind_of(config: Config) -> tuple[Kind, str]:
    """The kind of model that a configuration names, and the class that it names; "" where it names none."""
    config = {k: v for k, v in config.items() if k not in _TYPES or isinstance(v, _TYPES[k])}
    named = config.get("architectures")
    architecture = str(named[0]) if isinstance(named, list | tuple) and named else ""
    if not architecture:  # told by nothing but its family and, when it is loaded, by the names of its weights
        return next((k for k in KINDS if k is not CAUSAL and k.is_one("", config)), CAUSAL), ""
    return next((k for k in KINDS if k.is_one(architecture, config)), UNKNOWN), architecture


def is_causal(kind: Kind) -> bool:
    """Whether a kind is that of causal language models."""
    return kind is CAUSAL


def refuse_other_kinds(place: str, config: Config, takes: Callable[[Kind], bool]) -> Kind:
    """Stop before a model is loaded as what it is not, and return the kind that it is.

    Args:
        place: how it is called in the error.
        config: its ``config.json``.
        takes: whether a kind is wanted.

    Raises:
        InputError: it is of a kind that is not evaluated, or quantised in a way that is not.
    """
    kind, architecture = kind_of(config)
    if not kind.auto or not takes(kind):
        what = architecture or f"model type {config.get('model_type')}"
        raise InputError(f"{place} cannot be evaluated: {what} is {kind.says}", hint=kind.hint)
    refuse_quantised(place, config)
    return kind


def refuse_quantised(place: str, config: Config) -> None:
    """Stop at weights that are quantised in a way that is not evaluated.

    Raises:
        InputError: they are.
    """
    quantised = config.get("quantization_config")
    method = str(quantised.get("quant_method", "")).lower() if isinstance(quantised, Mapping) else ""
    if method and method not in ("bitsandbytes", "bitsandbytes_4bit", "bitsandbytes_8bit"):
        raise InputError(
            f"{place} cannot be evaluated: its weights are quantised with {QUANTISED.get(method, method)}",
            hint="name the checkpoint or base before it was quantised, and --dtype 4bit where memory is short",
        )


FILES: tuple[tuple[str, str], ...] = (
    ("model_index.json", "a pipeline of a diffusion model: it makes images"),
    (
        "modules.json",
        "a model of sentence-transformers that is no SentenceTransformer (a cross-encoder, a sparse one)",
    ),
)
"""Files that tell a kind where there is no ``config.json``, or beside it."""


def refuse_other_folders(folder: Path) -> None:
    """Stop at folders that hold another library's model.

    Raises:
        InputError: it is one of those.
    """
    for name, says in FILES:
        if (folder / name).is_file():
            raise InputError(f"{folder} cannot be evaluated: it is {says}", hint=ELSEWHERE)
