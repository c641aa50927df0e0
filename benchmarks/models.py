"""`python -m benchmarks.models`: tiny configurations of families in use, each tried as `base_model` tries it.

Writes the table of docs/models.md. On the meta device, so no weights are made; what happens after
`base_model` is not tried here.
"""

import contextlib
import io
import tempfile
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from transformers import AutoConfig

from stages.errors import ModelError
from stages.model_sources.architecture_trial import try_architecture
from stages.run.params import load_params

TABLE = Path("docs/models.md")
START = "<!-- python -m benchmarks.models -->\n"
SHAPE: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
EXPERTS: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LATENT: dict[str, Any] = {
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "n_group": 1,
    "topk_group": 1,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama4_text": {"num_local_experts": 2, "intermediate_size_mlp": 64},
    "qwen2": {},
    "qwen3": {},
    "qwen3_moe": EXPERTS,
    "qwen3_5_text": {},
    "qwen3_next": EXPERTS,
    "mistral": {},
    "ministral": {},
    "mixtral": {"num_local_experts": 4},
    "gemma2": {},
    "gemma3_text": {},
    "gemma4_text": {},
    "phi": {},
    "phi3": {},
    "olmo2": {},
    "olmo3": {},
    "smollm3": {},
    "granite": {},
    "granitemoe": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "granitemoehybrid": {
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "layer_types": ["mamba", "attention"],
        "mamba_n_heads": 8,
        "mamba_d_head": 8,
        "mamba_n_groups": 1,
    },
    "glm4": {},
    "glm4_moe": {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "exaone4": {},
    "cohere": {},
    "cohere2": {},
    "deepseek_v3": LATENT,
    "gpt_oss": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "falcon_h1": {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8},
    "lfm2": {},
    "nemotron": {},
    "stablelm": {},
    "starcoder2": {},
    "gpt_neox": {},
    "hunyuan_v1_dense": {},
    "ernie4_5": {},
    "seed_oss": {},
    "apertus": {},
}


class Row(NamedTuple):
    """One family: does `base_model` take it as params.yaml is, and what LoRA adapts or has to be changed."""

    family: str
    verdict: str
    detail: str


def try_family(family: str) -> Row:
    """What `base_model` says of a tiny configuration."""
    params = load_params()
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(said):
        AutoConfig.for_model(family, **(SHAPE | FAMILIES[family])).save_pretrained(folder)
        try:
            try_architecture(Path(folder), family, params.runtime, params.train)
        except ModelError as error:
            change = "train.lora_target_modules" if "LoRA" in str(error) else "runtime.attn_implementation"
            return Row(family, f"refused: `{change}`", str(error).rpartition(" to ")[2])
    return Row(family, "taken", said.getvalue().strip().rpartition("LoRA adapts ")[2])


def main() -> None:
    """Write the table below its mark."""
    warnings.simplefilter("ignore")
    lines = ["| family | `base_model` | LoRA adapts, or what to set |", "|---|---|---|"]
    for row in map(try_family, FAMILIES):
        lines.append(f"| `{row.family}` | {row.verdict} | {row.detail} |")
        print(lines[-1], flush=True)
    before, mark, _ = TABLE.read_text(encoding="utf-8").partition(START)
    TABLE.write_text(before + mark + "\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
