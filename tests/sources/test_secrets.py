"""What counts as a secret in a configuration, and what does not."""

from __future__ import annotations

import pytest

from runscope.sources.secrets import HIDDEN, without_secrets


@pytest.mark.parametrize(
    "name",
    ["api_key", "wandb_api_key", "WANDB-API-KEY", "openai.apikey", "hub_token", "hf_token", "token",
     "push.access_token", "password", "db_password", "aws_secret_access_key", "client_secret"],
)  # fmt: skip
def test_hidden(name: str) -> None:
    assert without_secrets({name: "abc"}) == {name: HIDDEN}
    assert without_secrets({"outer": {name: {"value": "abc"}}}) == {"outer": {name: {"value": HIDDEN}}}


@pytest.mark.parametrize(
    ("name", "value"),
    [("pad_token", "<pad>"), ("eos_token", "</s>"), ("tokens", "all"), ("key", "x"), ("api_key", None),
     ("hub_token", ""), ("secret_sauce", "lora"), ("max_tokens", 12), ("tokenizer", "llama")],
)  # fmt: skip
def test_kept(name: str, value: object) -> None:
    assert without_secrets({name: value}) == {name: value}


def test_a_key_of_this_machine_is_hidden_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_abcdef")
    assert without_secrets({"command": ["--x", "--auth=hf_abcdef"]}) == {"command": ["--x", HIDDEN]}
