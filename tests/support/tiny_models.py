"""Tiny, randomly initialised checkpoints with a real tokenizer and chat template."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from stages.files.io import write_json
from stages.model.rendered import RenderedPair

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SHAPE: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,  # large enough that what a token attends to changes its log-prob
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**SHAPE),
    "qwen2": Qwen2Config(**SHAPE),
    "qwen3": Qwen3Config(**SHAPE),
    "mistral with a sliding window": MistralConfig(**SHAPE, sliding_window=7),
    "gemma3 with layers of both kinds": Gemma3TextConfig(
        **SHAPE,
        sliding_window=7,
        query_pre_attn_scalar=8,
        layer_types=["sliding_attention", "full_attention"],
    ),
}


def tiny_tokenizer() -> PreTrainedTokenizerBase:
    """Byte-level BPE, so that any text has tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the grant funds reading rooms for children and their families"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        chat_template=CHAT_TEMPLATE,
    )


def tiny_model(
    name: str = "llama", *, attention: str = "sdpa", seed: int = 0, head_dim: int = 8
) -> PreTrainedModel:
    """A float32 model of the named architecture in eval mode."""
    torch.manual_seed(seed)
    config = deepcopy(CONFIGS[name])
    config.head_dim = head_dim
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    return model.float().eval()


def draw_norms(model: torch.nn.Module, *, is_learned: bool = False) -> None:
    """Norms that scale: fresh ones are all 1, which would hide a forgotten weight."""
    for label, weight in model.named_parameters():
        if "norm" in label:
            generator = torch.Generator(weight.device).manual_seed(1)
            torch.nn.init.normal_(weight, mean=1.0, std=0.3, generator=generator)
            weight.requires_grad_(is_learned)


def write_tiny_base(folder: Path, *, seed: int = 0) -> Path:
    """A checkpoint folder as `base_model` writes it."""
    folder.mkdir(parents=True)
    tiny_model(seed=seed).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    write_json(folder / "manifest.json", {"name": f"tiny-{seed}"})
    return folder


def made_up_pairs(n: int, *, seed: int = 0) -> list[RenderedPair]:
    """Pairs of random tokens whose lengths differ a good deal; in two of three, completions begin alike."""
    generator = torch.Generator().manual_seed(seed)

    def ids(low: int, high: int) -> list[int]:
        length = int(torch.randint(low, high, (1,), generator=generator))
        return torch.randint(2, 320, (length,), generator=generator).tolist()

    def pair(number: int) -> RenderedPair:
        prompt, chosen, rejected = ids(1, 12), ids(1, 25), ids(1, 25)
        beginning: list[int] = [[], chosen[: len(chosen) // 2 + 1], chosen][number % 3]
        return RenderedPair(f"p{number:03}", prompt, chosen, beginning + rejected)

    return [pair(number) for number in range(n)]
