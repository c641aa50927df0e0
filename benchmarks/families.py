"""`python -m benchmarks.families NAME ...`: a tiny, random model of each through every stage that runs one.

What `base_model` refuses is changed as its message says, and tried again. Prints a row of the table of
docs/models.md as JSON for each. All in one process: importing takes longer than running.
"""

import contextlib
import importlib
import io
import json
import os
import re
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

from stages.errors import ModelError
from stages.files.io import write_jsonl, write_text
from stages.files.pairs import Prompt
from tests.support.tiny_models import SHAPE, tiny_tokenizer
from tests.support.tiny_project import make_project, run_module

TEXT: dict[str, Any] = SHAPE | {"max_position_embeddings": 4096}
VISION = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
WINDOW = {"sliding_window": 7}
EXPERTS: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LOCAL_EXPERTS: dict[str, Any] = {"num_local_experts": 4, "num_experts_per_tok": 2}
MIXED: dict[str, Any] = {"layer_types": ["linear_attention", "full_attention"]}
LATENT: dict[str, Any] = {
    "num_key_value_heads": 4,
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
# transformers' model_type: what its config has beside TEXT. A wrapper's text config stands in it.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama4_text": {"num_local_experts": 2, "intermediate_size_mlp": 64},
    "qwen2": {},
    "qwen3": {},
    "qwen3_moe": EXPERTS,
    "qwen3_5_text": MIXED,
    "qwen3_next": EXPERTS | MIXED,
    "mistral": WINDOW,
    "ministral": WINDOW,
    "ministral3": {},
    "mistral3": {"text_config": TEXT | {"model_type": "mistral"}, "vision_config": VISION},
    "mixtral": {"num_local_experts": 4},
    "gemma2": WINDOW,
    "gemma3_text": WINDOW,
    "gemma3": {"text_config": TEXT | WINDOW, "vision_config": VISION},
    "gemma4_text": WINDOW,
    "phi": {},
    "phi3": {},
    "olmo2": {},
    "olmo3": WINDOW,
    "smollm3": {},
    "granite": {},
    "granitemoe": LOCAL_EXPERTS,
    "granitemoehybrid": LOCAL_EXPERTS
    | {"layer_types": ["mamba", "attention"], "mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 1},
    "glm4": {},
    "glm4_moe": {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "exaone4": {},
    "cohere": {},
    "cohere2": WINDOW,
    "deepseek_v3": LATENT,
    "gpt_oss": LOCAL_EXPERTS,
    "falcon_h1": {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "nemotron": {},
}
WRAPPERS = [name for name, config in FAMILIES.items() if "text_config" in config]
ONE_PROCESS = "sizes/accelerate/one_process.yaml"
TWO_PROCESSES = "sizes/accelerate/two_cpu_processes.yaml"
AFTER = ("questions", "reference", "train", "holdout", "generate", "mmlu", "probe")
OF_BOTH_MODELS = ("generate", "mmlu", "probe")


class Row(NamedTuple):
    """One family: does it run as params.yaml is shipped, or with which change; and how."""

    family: str
    verdict: str
    rows: str
    attention: str
    adapts: str
    mmlu: str


def write_checkpoint(family: str, folder: Path) -> None:
    """Random weights of a few thousand parameters, with a tokenizer."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    from stages.model.checkpoint import auto_class

    own = FAMILIES[family]
    config = AutoConfig.for_model(family, **(own if family in WRAPPERS else TEXT | own))
    torch.manual_seed(0)
    whole = AutoModelForImageTextToText if family in WRAPPERS else auto_class(config)
    whole.from_config(config).float().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)


def change_params(**sections: dict[str, Any]) -> None:
    """Change keys of params.yaml in the working directory."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    for section, changes in sections.items():
        params[section] |= changes
    write_text(Path("params.yaml"), yaml.safe_dump(params))


def run_stage(stage: str, *arguments: str) -> str:
    """Run a stage's `main` here; what it said."""
    sys.argv = [stage, *arguments]
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        importlib.import_module(f"stages.{stage}").main()
    return said.getvalue()


def train_in_two_processes() -> str:
    """Stage `train` as it runs on two cards, on two CPU processes."""
    change_params(processes={"accelerate_config": TWO_PROCESSES}, runtime={"n_threads": 2})
    done = run_module(Path.cwd(), "stages.train")
    change_params(processes={"accelerate_config": ONE_PROCESS})
    if done.returncode:
        raise RuntimeError(f"two processes: {done.stderr[-2000:]}")
    return done.stderr


def take_base() -> tuple[str, str]:
    """`base_model`, and once more as its refusal says; the verdict and what LoRA adapts."""
    try:
        said, verdict = run_stage("base_model"), "runs"
    except ModelError as error:
        found = re.search(r"(?:set |as )(runtime|train)\.(\w+).* to (.+)$", str(error))
        if found is None:
            raise
        section, key, value = found.groups()
        change_params(**{section: {key: yaml.safe_load(value)}})
        said, verdict = run_stage("base_model"), f"refused: `{section}.{key}`; runs with {value}"
    return verdict, said.partition("LoRA adapts ")[2].partition("\n")[0]


def try_family(family: str, folder: Path) -> Row:
    """Every stage that runs a model, in `folder`; what is not refused with a way out is raised."""
    make_project(folder, n_train=4, train={"max_steps": 2, "num_train_epochs": None})
    os.chdir(folder)
    os.environ["BLUEPENCIL_CHECKPOINTS"] = str(folder / "checkpoints")
    write_checkpoint(family, folder / "data/raw/base_model")
    change_params(
        base_model={"source": "path", "path": "data/raw/base_model"},
        generate={"n_prompts": 2, "max_new_tokens": 4},
        probe={"max_new_tokens": 2},
        size={"n_questions": 2},
    )
    prompts = [Prompt(prompt_id=f"f{n}", prompt=f"About rooms {n}", synthetic=True) for n in range(2)]
    write_jsonl(Path("data/validate/prompts.jsonl"), prompts)
    verdict, adapts = take_base()
    said = ""
    for stage in AFTER:
        if stage == "train" and family in WRAPPERS:
            said += train_in_two_processes()
            continue
        for model in ("base", "policy") if stage in OF_BOTH_MODELS else ("",):
            said += run_stage(stage, *filter(None, [model]))
    runtime = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["runtime"]
    return Row(
        family,
        verdict + (", also in two processes" if family in WRAPPERS else ""),
        "two" if "two rows a pair" in said else "shared",
        runtime["attn_implementation"],
        adapts,
        "lm-eval's own" if "is scored by lm-eval's own" in said else "shared",
    )


def main() -> None:
    """Try the families that are named; one that fails shows where, and the others go on."""
    here, failed = Path.cwd(), []
    for family in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(json.dumps(try_family(family, Path(folder))._asdict()), flush=True)
            except Exception:  # noqa: BLE001 - whatever a family breaks
                traceback.print_exc()
                failed.append(family)
            finally:
                os.chdir(here)
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
