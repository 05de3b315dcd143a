"""Sounds in which each letter is a tone, and tiny models of speech that the real Trainer taught to write them down."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

RATE = 16_000
TONES = {"a": 400.0, "b": 1000.0, "c": 2200.0, " ": 0.0}
SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
ALPHABET = 256
"""Bytes that the tokenizer has a token for; the special ones follow."""
Said = tuple[Any, str]


def sound(said: str, rng: random.Random, rate: int = RATE) -> Any:
    """60 ms a letter, in noise."""
    time = np.arange(int(0.06 * rate)) / rate
    wave = np.concatenate([np.sin(2 * np.pi * TONES[letter] * time) for letter in said])
    noise = np.random.default_rng(rng.randrange(1 << 30)).normal(0, 0.05, len(wave))
    return (0.5 * wave + noise).astype(np.float32)


def spoken(seed: int, count: int, words: int = 3) -> list[Said]:
    rng, found = random.Random(seed), []
    for _ in range(count):
        said = " ".join(
            "".join(rng.choice("abc") for _ in range(rng.randint(1, 3))) for _ in range(rng.randint(1, words))
        )
        found.append((sound(said, rng), said))
    return found


def write(place: Path, said: Sequence[Said], **more: Any) -> Path:
    """Files of sound and rows that name them."""
    import soundfile

    place.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, (wave, text) in enumerate(said):
        soundfile.write(place / f"{number}.wav", wave, RATE, subtype="FLOAT")
        rows.append({"audio": f"{number}.wav", "text": text, **more})
    (place / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return place / "rows.jsonl"


def whisper_processor() -> Any:
    """Whisper's own, with bytes as tokens, of two seconds."""
    import transformers as hf
    from tokenizers.pre_tokenizers import ByteLevel

    words = hf.WhisperTokenizer(
        vocab={c: i for i, c in enumerate(sorted(ByteLevel.alphabet()))}, merges=[], pad_token="<|endoftext|>"
    )
    words.add_tokens([hf.AddedToken(s, special=True) for s in SPECIAL], special_tokens=True)
    words.set_prefix_tokens(language="en", task="transcribe")
    return hf.WhisperProcessor(hf.WhisperFeatureExtractor(feature_size=16, chunk_length=2), words)


def whisper(**more: Any) -> Any:
    import transformers as hf

    size = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
            "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}  # fmt: skip
    end, start = ALPHABET, ALPHABET + 1
    model = hf.WhisperForConditionalGeneration(
        hf.WhisperConfig(
            vocab_size=ALPHABET + len(SPECIAL), num_mel_bins=16, max_source_positions=100, max_target_positions=40,
            pad_token_id=end, bos_token_id=end, eos_token_id=end, decoder_start_token_id=start,
            suppress_tokens=None, begin_suppress_tokens=None, **{**size, **more},
        )
    )  # fmt: skip
    ways = model.generation_config
    ways.max_length, ways.is_multilingual, ways.no_timestamps_token_id = 40, True, ALPHABET + 4
    ways.lang_to_id, ways.task_to_id = {"<|en|>": ALPHABET + 2}, {"transcribe": ALPHABET + 3}
    ways.language, ways.task = "en", "transcribe"
    return model


def whisper_rows(said: Sequence[Said], processor: Any) -> list[dict[str, Any]]:
    """As the Trainer's examples make them."""
    return [
        {
            "input_features": processor.feature_extractor(wave, sampling_rate=RATE)["input_features"][0],
            "labels": processor.tokenizer(text)["input_ids"],
        }
        for wave, text in said
    ]


def whisper_batch(processor: Any, rows: Sequence[dict[str, Any]]) -> Any:
    """Padded labels are no label; the first token is given to the decoder by the model itself."""
    made = processor.feature_extractor.pad(
        [{"input_features": r["input_features"]} for r in rows], return_tensors="pt"
    )
    labels = processor.tokenizer.pad([{"input_ids": r["labels"]} for r in rows], return_tensors="pt")
    made["labels"] = labels["input_ids"].masked_fill(labels["attention_mask"].ne(1), -100)[:, 1:]
    return made


def ctc_processor(folder: Path) -> Any:
    import transformers as hf

    vocabulary = {"<pad>": 0, "<unk>": 1, "|": 2, "a": 3, "b": 4, "c": 5}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    words = hf.Wav2Vec2CTCTokenizer(
        str(folder / "vocab.json"), pad_token="<pad>", unk_token="<unk>", word_delimiter_token="|",
        bos_token=None, eos_token=None,
    )  # fmt: skip
    return hf.Wav2Vec2Processor(hf.Wav2Vec2FeatureExtractor(return_attention_mask=True), words)


def wav2vec(head: str = "CTC", **more: Any) -> Any:
    import transformers as hf

    words = {
        "vocab_size": 6, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 2, "conv_dim": (32, 32), "conv_stride": (10, 16), "conv_kernel": (20, 32),
        "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "feat_extract_norm": "layer",
        "pad_token_id": 0, "mask_time_prob": 0.0, "ctc_loss_reduction": "mean",
    } | more  # fmt: skip
    return getattr(hf, f"Wav2Vec2For{head}")(hf.Wav2Vec2Config(**words))


def hubert() -> Any:
    """Normalised by groups, its loss summed over letters: as transformers has it unless told otherwise."""
    import transformers as hf

    return hf.HubertForCTC(
        hf.HubertConfig(
            vocab_size=6, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
            conv_dim=(32, 32), conv_stride=(10, 16), conv_kernel=(20, 32), num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=2, pad_token_id=0,
        )
    )  # fmt: skip


def moonshine() -> Any:
    import transformers as hf

    size = {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    return hf.MoonshineForConditionalGeneration(
        hf.MoonshineConfig(
            vocab_size=ALPHABET + len(SPECIAL), hidden_size=32, intermediate_size=64, pad_token_id=ALPHABET,
            bos_token_id=ALPHABET + 1, eos_token_id=ALPHABET, decoder_start_token_id=ALPHABET + 1,
            **{f"{part}_{name}": n for part in ("encoder", "decoder") for name, n in size.items()},
        )
    )  # fmt: skip


def ctc_batch(processor: Any, rows: Sequence[dict[str, Any]]) -> Any:
    made = processor.feature_extractor.pad(
        [{"input_values": r["input_values"]} for r in rows], return_tensors="pt"
    )
    labels = processor.tokenizer.pad([{"input_ids": r["labels"]} for r in rows], return_tensors="pt")
    made["labels"] = labels["input_ids"].masked_fill(labels["attention_mask"].ne(1), -100)
    return made


def ctc_rows(said: Sequence[Said], processor: Any) -> list[dict[str, Any]]:
    return [
        {
            "input_values": processor.feature_extractor(wave, sampling_rate=RATE)["input_values"][0],
            "labels": processor.tokenizer(text)["input_ids"],
        }
        for wave, text in said
    ]
