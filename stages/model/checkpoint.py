"""Loads tokenizers and models from a folder: safetensors only, no remote code, one runtime for all stages."""

import importlib.util
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stages.errors import BluePencilError, ModelError, first_line
from stages.files.io import read_json, sha256_file
from stages.model.device import refuse_full_card, use_threads
from stages.model.manifest import MANIFEST, Rendering
from stages.run.params import RuntimeParams
from stages.run.progress import say
from stages.run.shell import in_words

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def read_rendering(folder: Path) -> Rendering:
    """What the template of `models/base` is given, as `base_model` settled it."""
    file = folder / MANIFEST
    return Rendering.model_validate(read_json(file).get("rendering", {}) if file.is_file() else {})


def describe_rendering(tokenizer: "PreTrainedTokenizerBase") -> dict[str, object]:
    """What decides how a conversation becomes tokens: belongs to every hash of settings."""
    given = getattr(tokenizer.apply_chat_template, "args", (None, Rendering()))[1]  # see load_tokenizer
    return {"chat_template": tokenizer.chat_template, **given.model_dump()}


def load_tokenizer(
    folder: Path, *, place: str | None = None, rendering: Rendering | None = None
) -> "PreTrainedTokenizerBase":
    """The tokenizer of a checkpoint; ModelError where it cannot render a conversation or end one.

    Its template is given `rendering`, by default what the folder's manifest says.
    """
    from transformers import AutoTokenizer

    where = place or str(folder)
    if not folder.is_dir():
        raise ModelError(f"{where}: no such folder; run `dvc repro base_model`")
    with reading_checkpoint(f"{where}: the tokenizer cannot be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    if isinstance(tokenizer.chat_template, dict) and "default" not in tokenizer.chat_template:
        raise ModelError(
            f"{where}: the tokenizer has the chat templates {', '.join(map(str, tokenizer.chat_template))} "
            "and none called default; name one so, or put chat_template.jinja there"
        )
    if not tokenizer.chat_template:
        raise ModelError(
            f"{where}: the tokenizer has no chat template, so prompts cannot be rendered for the model; "
            "use an instruction-tuned checkpoint, or add its chat_template.jinja"
        )
    if tokenizer.eos_token_id is None:
        raise ModelError(f"{where}: the tokenizer has no EOS token, so a completion has no end; set one")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # padding is masked everywhere, its id never matters
    _check_vocabulary(tokenizer, folder, where)
    render = partial(_render, tokenizer.apply_chat_template, rendering or read_rendering(folder))
    tokenizer.apply_chat_template = render  # lm-eval and TRL call it, too
    return tokenizer


class _Day(NamedTuple):
    """A clock that stands still."""

    today: datetime

    def now(self) -> datetime:
        """The day that was settled."""
        return self.today


def _render(apply_chat_template: Callable[..., Any], rendering: Rendering, *args: Any, **kwargs: Any) -> Any:
    """Render with what was settled in place of the clock, which transformers' `strftime_now` reads."""
    from transformers.utils import chat_template_utils

    clock, chat_template_utils.datetime = (
        chat_template_utils.datetime,
        _Day(datetime.fromisoformat(rendering.template_date)),
    )
    try:
        return apply_chat_template(*args, **rendering.chat_template_kwargs, **kwargs)
    finally:
        chat_template_utils.datetime = clock


def load_model(base: Path, policy: Path | None, runtime: RuntimeParams) -> "PreTrainedModel":
    """The base (`policy` None), or the policy (an adapter, or a full checkpoint), in eval mode."""
    import torch
    from transformers import AutoConfig

    from stages.model.cpu import keep_freed_memory, use_onednn

    use_threads(runtime)
    if runtime.device == "cpu":
        keep_freed_memory()
    full_policy = policy is not None and not (policy / ADAPTER_CONFIG).exists()
    folder = policy if policy is not None and full_policy else base
    quantization = _quantization(runtime)
    with reading_checkpoint(f"{folder}: the weights cannot be counted"):
        refuse_full_card(folder, runtime)
    with reading_checkpoint(f"{folder}: the model cannot be loaded"):
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        model, info = auto_class(config).from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=getattr(torch, runtime.dtype),
            attn_implementation=runtime.attn_implementation,
            device_map={"": torch.cuda.current_device()} if runtime.device == "cuda" else None,
            output_loading_info=True,
            **quantization,
        )
    _refuse_drawn_weights(folder, sorted(info["missing_keys"]))
    _name_decoder(model)
    if policy is not None:
        _check_belongs(base, policy)
    if policy is not None and not full_policy:
        from peft import PeftModel

        if not (policy / ADAPTER_WEIGHTS).is_file():  # PEFT would open a pickle in its place
            raise ModelError(f"{policy / ADAPTER_WEIGHTS}: no such file; run `dvc repro train`")
        what, way_out = f"{policy}: the adapter cannot be loaded", "run `dvc repro train`"
        with reading_checkpoint(what, way_out), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Found missing adapter keys")  # refused below
            model = PeftModel.from_pretrained(model, str(policy), local_files_only=True)
        _refuse_partial_adapter(model, policy)
    if runtime.device == "cpu":
        use_onednn(model)
    model.eval()
    return model


def auto_class(config: "PreTrainedConfig") -> Any:
    """transformers' class for this type of model; not every multimodal wrapper is among its causal LMs."""
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
    from transformers.models.auto import modeling_auto as known

    if type(config) in known.MODEL_FOR_CAUSAL_LM_MAPPING:
        return AutoModelForCausalLM
    is_wrapper = type(config) in known.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    return AutoModelForImageTextToText if is_wrapper else AutoModelForCausalLM


def _name_decoder(model: Any) -> None:
    """Llama 4's text model calls its decoder otherwise than its class says, and TRL would not find it."""
    if model.base_model is model and hasattr(model, "model"):
        model.base_model_prefix = "model"


def for_short_texts(runtime: RuntimeParams, *, stage: str) -> RuntimeParams:
    """`runtime` for a stage that flex attention would only slow down: with sdpa in its place, aloud."""
    if runtime.attn_implementation != "flex_attention":
        return runtime
    say(f"{stage}: sdpa in place of flex_attention, which is for long rows (reference, train, holdout)")
    return runtime.model_copy(update={"attn_implementation": "sdpa"})


@contextmanager
def reading_checkpoint(
    what: str, way_out: str = "take a complete checkpoint of one source"
) -> Iterator[None]:
    """Whatever a library raises over somebody's files is a ModelError that says `what`; no memory is not.

    The libraries raise what comes: TypeError, AttributeError and, out of Rust, a bare Exception.
    """
    try:
        yield
    except (BluePencilError, MemoryError):
        raise
    except Exception as error:
        if in_words(error) is not None or type(error).__name__ == "OutOfMemoryError":
            raise
        raise ModelError(f"{what} ({first_line(error)}); {way_out}") from error


def _refuse_drawn_weights(folder: Path, missing: Sequence[str]) -> None:
    """transformers draws at random what a checkpoint lacks, and every number after that means nothing."""
    if missing:
        raise ModelError(
            f"{folder}: the weights lack {len(missing)} tensors that config.json asks for ({missing[0]}, "
            "...); take weights and config from one checkpoint"
        )


def _refuse_partial_adapter(model: Any, policy: Path) -> None:
    """PEFT leaves a tensor that the file lacks as it is drawn, and passes over one that it does not know."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    wanted = set(get_peft_model_state_dict(model, save_embedding_layers=False))
    with safe_open(policy / ADAPTER_WEIGHTS, framework="pt") as file:
        differing = sorted(wanted ^ set(file.keys()))
    if differing:
        raise ModelError(
            f"{policy / ADAPTER_WEIGHTS}: {len(differing)} tensors are not those that {ADAPTER_CONFIG} asks "
            f"for ({differing[0]!r}, {'missing' if differing[0] in wanted else 'not asked for'}, ...); "
            "run `dvc repro train`"
        )


def _check_vocabulary(tokenizer: "PreTrainedTokenizerBase", folder: Path, where: str) -> None:
    from transformers import AutoConfig

    with reading_checkpoint(f"{where}: config.json cannot be loaded"):
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        n_rows = config.get_text_config().vocab_size
    largest = max(tokenizer.get_vocab().values())
    if largest >= n_rows:
        raise ModelError(
            f"{where}: the tokenizer has ids up to {largest}, the model embeds {n_rows} ids (0 to "
            f"{n_rows - 1}): they do not belong together; take both from one checkpoint"
        )


def base_sha256(base: Path) -> str:
    """What `models/base` is, as one hash: that of its manifest, which holds the hash of every file."""
    return sha256_file(base / MANIFEST)


def _check_belongs(base: Path, policy: Path) -> None:
    trained_on = read_json(policy / "manifest.json").get("base_sha256")
    if trained_on != base_sha256(base):
        raise ModelError(f"{policy}: was trained on another base than {base}; run `dvc repro train`")


def _quantization(runtime: RuntimeParams) -> dict[str, Any]:
    if runtime.quantization == "none":
        return {}
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            "runtime.quantization nf4 needs the package bitsandbytes, which is not installed; "
            "`make qlora`, or set runtime.quantization none and train.method lora"
        )
    import torch
    from transformers import BitsAndBytesConfig

    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, runtime.dtype),
        )
    }
