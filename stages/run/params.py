"""The only reader of `params.yaml`: every key typed, bounded and required.

There are no defaults here; a value lives in `params.yaml` or nowhere. All broken rules are
reported together. DVC tracks the values themselves, by section or key by key.
"""

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from stages.errors import ParamsError
from stages.files.record import BrokenRule, ShortName, broken_rules
from stages.files.yaml_text import parse_yaml, show

PARAMS_FILE = Path("params.yaml")
RESTORE = "restore it with `git checkout params.yaml`"
# Keys that once stood elsewhere, by their old names: an old params.yaml is told where they are now.
MOVED = {
    "runtime.max_length": "rows.max_length",
    "runtime.too_long": "rows.too_long",
    "runtime.score_batch_size": "rows.score_batch_size",
    "runtime.margin_tolerance": "watch.margin_tolerance",
    "train.save_steps": "watch.save_steps",
    "train.max_loss_growth": "watch.max_loss_growth",
    "train.accelerate_config": "processes.accelerate_config",
}
GONE = {"release.parity_tolerance": "a merge is proven on its weights, which needs no tolerance"}

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
AllOrCount = Literal["all"] | Count
AllOrCountOrZero = Literal["all"] | CountOrZero


def at_most(wanted: AllOrCount | AllOrCountOrZero, there: int) -> int:
    """How many of the `there` rows are taken: all of them, or as many as wanted and there."""
    return there if wanted == "all" else min(wanted, there)


def refuse_relative_path_outside(path: str) -> str:
    """Refuse a relative path that leaves the repository: `dvc exp run --temp` would not find it."""
    if not Path(path).is_absolute() and Path(path).resolve().is_relative_to(Path.cwd().resolve()) is False:
        raise ValueError(f"leaves the repository; name it absolutely: {Path(path).resolve()}")
    return path


def refuse_no_day(text: str) -> str:
    """Refuse what is no day, written as 2025-01-31."""
    if date.fromisoformat(text).isoformat() != text:
        raise ValueError("write a day as 2025-01-31")
    return text


def refuse_taken_name(name: str) -> str:
    """Refuse a name that transformers' `apply_chat_template` gives a meaning of its own."""
    if name in TAKEN_NAMES:
        raise ValueError(f"{name} is set by the pipeline itself")
    return name


TAKEN_NAMES = {
    "add_generation_prompt", "chat_template", "continue_final_message", "conversation", "documents",
    "max_length", "messages", "padding", "return_assistant_tokens_mask", "return_dict", "return_tensors",
    "sanitize_control_tokens", "self", "strftime_now", "tokenize", "tokenizer_kwargs", "tools", "truncation",
}  # fmt: skip
TemplateName = Annotated[str, AfterValidator(refuse_taken_name)]
DataPath = Annotated[str, Field(min_length=1), AfterValidator(refuse_relative_path_outside)]


class Section(BaseModel):
    """A frozen part of `params.yaml`; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def refuse_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true where a number belongs: pydantic would take it for 1, and DVC record true."""
        wanted = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and wanted is not bool and wanted is not Any:
            raise ValueError("true and false are no value of this key")
        return value


def refuse_path_outside_kept(path: str) -> str:
    """Refuse a file that `validate` does not depend on."""
    if Path(path).parent != Path("data/kept"):
        raise ValueError("lies outside of data/kept/, which `validate` depends on; move it there")
    return path


SPOKEN = (  # ISO 639-1
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv "
    "dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie "
    "ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv "
    "mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm "
    "rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts "
    "tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu "
)
LANGUAGE = re.compile(r"([a-z]{2,3})(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?")
NO_LANGUAGE = {"und", "mul", "mis", "zxx"}  # of ISO 639: undetermined, several, uncoded, none


def refuse_no_language(text: str) -> str:
    """Refuse what is no language tag, a two-letter code that ISO 639-1 lacks, and codes for no language."""
    found = LANGUAGE.fullmatch(text)
    code = found[1] if found else ""
    if (
        not code
        or (len(code) == 2 and code not in SPOKEN.split())
        or code in NO_LANGUAGE
        or "qaa" <= code <= "qtz"
    ):
        raise ValueError("names no language that is spoken; write its ISO 639 code, such as en, de or pt-BR")
    return text


def refuse_markup(text: str) -> str:
    """Refuse a name that is no plain line of text: it stands on pages, in a mail and in a model card."""
    if text != " ".join(text.split()) or re.search(
        r"[<>`\x00-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text
    ):
        raise ValueError("holds markup, control signs or spaces at an end; write a plain name")
    return text


PlainName = Annotated[str, Field(max_length=60), AfterValidator(refuse_markup)]


class ProjectParams(Section):
    product: PlainName
    owner: PlainName
    texts: Annotated[PlainName, Field(min_length=1)]
    language: Annotated[str, AfterValidator(refuse_no_language)]


class DataParams(Section):
    pairs: DataPath
    prompts: DataPath
    columns: dict[str, str]
    sheet: str | None
    votes: Annotated[str, AfterValidator(refuse_path_outside_kept)] | None


class BaseModelParams(Section):
    source: Literal["package", "hub", "path"]
    package: str = Field(pattern=r"^[A-Za-z0-9_.-]+==[A-Za-z0-9_.]+$")
    repo_id: str = Field(min_length=1)
    revision: str
    path: DataPath
    template_date: Annotated[str, AfterValidator(refuse_no_day)]
    chat_template_kwargs: dict[TemplateName, str | bool | int | float]

    @model_validator(mode="after")
    def revision_is_pinned(self) -> "BaseModelParams":
        if self.source == "hub":
            refuse_moving_revision(self.revision)
        return self


class RuntimeParams(Section):
    device: Literal["cpu", "cuda"]
    dtype: Literal["float32", "bfloat16", "float16"]
    quantization: Literal["none", "nf4"]
    attn_implementation: Literal["sdpa", "eager", "flash_attention_2", "flex_attention"]
    n_threads: Count

    @model_validator(mode="after")
    def quantization_has_cuda(self) -> "RuntimeParams":
        if self.quantization == "nf4" and self.device != "cuda":
            raise ValueError("quantization nf4 needs device cuda")
        return self

    @model_validator(mode="after")
    def flex_attention_has_cuda(self) -> "RuntimeParams":
        if self.attn_implementation == "flex_attention" and self.device != "cuda":
            raise ValueError(
                "attn_implementation flex_attention needs device cuda: torch trains with it on a GPU only"
            )
        return self


class RowsParams(Section):
    max_length: Count
    too_long: Literal["refuse", "set_aside"]
    score_batch_size: Count


class SizeParams(Section):
    n_train: AllOrCount
    n_selection_scored: AllOrCount
    n_holdout_scored: AllOrCountOrZero
    n_questions: AllOrCount


class RuleParams(Section):
    severity: Literal["error", "warning"]
    allowed_share: Share
    set_aside: bool


class AuditParams(Section):
    longer_wins_low: Share
    longer_wins_high: Share
    left_wins_min_p_value: Share
    trivial_classifier_below: Share
    agreement_above: Share
    min_pairs_per_editor: Count


class ValidateParams(Section):
    min_words: Count
    max_words: Count
    near_duplicate_similarity: Annotated[float, Field(gt=0, le=1)]
    audit: AuditParams
    rules: dict[str, RuleParams]

    @model_validator(mode="after")
    def limits_are_in_order(self) -> "ValidateParams":
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is above max_words {self.max_words}")
        return self


class SplitParams(Section):
    n_holdout: Count
    n_selection: CountOrZero
    join_shared_words: CountOrZero
    join_shared_prompt_words: CountOrZero
    salt: str = Field(min_length=1)
    keep: Path | None
    replaces: Annotated[str, Field(pattern="^[0-9a-f]{12}$")] | None


LossType = Literal[
    "sigmoid", "hinge", "ipo", "exo_pair", "nca_pair", "robust", "bco_pair", "sppo_hard", "aot",
    "aot_unpaired", "discopop", "apo_zero", "apo_down", "sft", "sigmoid_norm",
]  # fmt: skip


# The losses on the difference of both rewards: only there does the term that f-DPO leaves out cancel.
F_DIVERGENCE_LOSSES = {"sigmoid", "sigmoid_norm", "hinge", "ipo", "exo_pair", "robust", "discopop", "sft"}
# Those that TRL 1.16 cannot weigh: two sort their pairs, two fail when their loss is multiplied in place.
UNWEIGHED_LOSSES = {"aot", "aot_unpaired", "hinge", "sft"}

# What transformers runs on any device, and what asks bitsandbytes and CUDA.
Optimizer = Literal["adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "rmsprop", "adagrad"]
CudaOptimizer = Literal["adamw_bnb_8bit", "paged_adamw_8bit", "paged_adamw_32bit"]


class LabelsParams(Section):
    n_doubtful: Count


class TrainParams(Section):
    n_pairs: AllOrCount
    method: Literal["lora", "qlora", "full"]
    loss_type: Annotated[list[LossType], Field(min_length=1)]
    loss_weights: list[NonNegative] | None
    beta: Positive
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)]
    ld_alpha: Share | None
    f_divergence_type: Literal["reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"]
    f_alpha_divergence_coef: Annotated[float, Field(gt=0, le=1)]
    discopop_tau: Positive
    use_weighting: bool
    optim: Literal[Optimizer, CudaOptimizer]
    learning_rate: Positive
    num_train_epochs: Positive | None
    max_steps: Count | None
    per_device_train_batch_size: Count
    gradient_accumulation_steps: Count
    warmup_steps: NonNegative
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup"]
    weight_decay: NonNegative
    max_grad_norm: Positive
    gradient_checkpointing: bool
    lora_r: Count
    lora_alpha: Positive
    lora_dropout: Annotated[float, Field(ge=0, lt=1)]
    use_rslora: bool
    use_dora: bool
    lora_target_modules: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)]
    lora_target_parameters: list[str]
    seed: CountOrZero
    logging_steps: Count
    chosen_drop_limit: Positive
    chosen_drop_window: Count

    @model_validator(mode="after")
    def one_weight_per_loss(self) -> "TrainParams":
        if self.loss_weights is not None and len(self.loss_weights) != len(self.loss_type):
            raise ValueError(f"{len(self.loss_weights)} loss_weights for {len(self.loss_type)} loss_type")
        return self

    @model_validator(mode="after")
    def losses_fit_their_settings(self) -> "TrainParams":
        if "exo_pair" in self.loss_type and self.label_smoothing == 0:
            raise ValueError("loss_type exo_pair needs label_smoothing above 0; its paper uses 0.001")
        others = sorted(set(self.loss_type) - F_DIVERGENCE_LOSSES)
        if self.f_divergence_type != "reverse_kl" and others:
            raise ValueError(
                f"f_divergence_type {self.f_divergence_type} does not go with {others}; use reverse_kl"
            )
        not_weighed = sorted(set(self.loss_type) & UNWEIGHED_LOSSES)
        if self.use_weighting and not_weighed:
            raise ValueError(f"use_weighting does not go with {not_weighed}: TRL cannot weigh their pairs")
        return self

    @model_validator(mode="after")
    def epochs_or_steps(self) -> "TrainParams":
        if (self.num_train_epochs is None) == (self.max_steps is None):
            raise ValueError(
                f"num_train_epochs {self.num_train_epochs} and max_steps {self.max_steps}: one says how "
                "long to train, the other must be null"
            )
        return self


class ProcessesParams(Section):
    accelerate_config: DataPath


class WatchParams(Section):
    save_steps: Count
    max_loss_growth: Positive
    margin_tolerance: NonNegative


class GenerateParams(Section):
    n_prompts: Count
    max_new_tokens: Count
    temperature: NonNegative
    top_p: Annotated[float, Field(gt=0, le=1)]
    batch_size: Count
    seed: CountOrZero


class PlanParams(Section):
    tie_rate: Annotated[float, Field(ge=0, lt=1)]
    agreement: Annotated[float, Field(ge=0, lt=1)]
    n_simulations: Annotated[int, Field(ge=100)]
    minutes_per_screen: Positive


class StudyParams(Section):
    editors: Annotated[list[ShortName], Field(min_length=2)]
    n_repeats: CountOrZero
    min_repeat_distance: Count
    n_anchors: CountOrZero
    anchors: DataPath
    looks: Literal[1, 2]
    max_void_prompts: CountOrZero
    tell_phrases: list[Annotated[str, Field(min_length=1)]]
    secret_path: str = Field(min_length=1)
    plan: PlanParams

    @model_validator(mode="after")
    def editors_are_different(self) -> "StudyParams":
        if len(set(self.editors)) != len(self.editors):
            raise ValueError(f"an editor is named twice in {self.editors}")
        return self


class MmluParams(Section):
    source: Literal["bundled", "csv", "hub"]
    csv_dir: DataPath
    repo_id: str = Field(min_length=1)
    revision: str
    scoring: Literal["continuation", "letter"]
    num_fewshot: CountOrZero
    apply_chat_template: bool
    max_batch_tokens: Count
    seed: CountOrZero

    @model_validator(mode="after")
    def source_can_do_it(self) -> "MmluParams":
        if self.source == "hub":
            refuse_moving_revision(self.revision)
        if self.source == "bundled" and self.num_fewshot > 0:
            raise ValueError(
                "the bundled questions are MMLU's dev questions, so none are left as examples: num_fewshot 0"
            )
        return self


class ShareLimit(Section):
    min_share: Share
    chance: Share

    @model_validator(mode="after")
    def limits_are_in_order(self) -> "ShareLimit":
        if self.chance > self.min_share:
            raise ValueError(f"chance {self.chance} is above min_share {self.min_share}")
        return self


class CapabilityLimit(Section):
    max_drop: Share
    confirmed_drop: Share
    chance: Share
    min_questions: Count

    @model_validator(mode="after")
    def limits_are_in_order(self) -> "CapabilityLimit":
        if self.confirmed_drop > self.max_drop:
            raise ValueError(f"confirmed_drop {self.confirmed_drop} is above max_drop {self.max_drop}")
        return self


class ProbeParams(Section):
    max_new_tokens: Count
    batch_size: Count


class ProbeLimit(Section):
    max_perplexity_rise: NonNegative
    max_repetition_rise: Share
    max_following_drop: Share


class WritingLimit(Section):
    max_unsupported_rise: NonNegative


class LimitsParams(Section):
    accuracy: ShareLimit
    winrate: ShareLimit
    capability: CapabilityLimit
    probe: ProbeLimit
    writing: WritingLimit


class ReleaseParams(Section):
    n_parity_rows: Count
    form: Literal["merged", "merged_float32", "adapter"]


class Params(Section):
    """All of `params.yaml`, one field per section."""

    project: ProjectParams
    data: DataParams
    base_model: BaseModelParams
    runtime: RuntimeParams
    rows: RowsParams
    size: SizeParams
    validate_: ValidateParams = Field(alias="validate")
    split: SplitParams
    labels: LabelsParams
    train: TrainParams
    processes: ProcessesParams
    watch: WatchParams
    generate: GenerateParams
    study: StudyParams
    mmlu: MmluParams
    probe: ProbeParams
    limits: LimitsParams
    release: ReleaseParams

    @model_validator(mode="after")
    def method_matches_quantization(self) -> "Params":
        if (self.train.method == "qlora") != (self.runtime.quantization == "nf4"):
            raise ValueError(
                "train.method qlora and runtime.quantization nf4 go together: set both or neither"
            )
        return self

    @model_validator(mode="after")
    def optimizer_runs_on_the_device(self) -> "Params":
        if self.train.optim in get_args(CudaOptimizer) and self.runtime.device != "cuda":
            raise ValueError(
                f"train.optim {self.train.optim} needs runtime.device cuda; on a CPU use adamw_torch_fused"
            )
        return self


def refuse_moving_revision(revision: str) -> None:
    """A branch or tag can move, so only a full commit hash names one model or data set."""
    if not re.fullmatch(r"[0-9a-f]{40}", revision):
        raise ValueError(f"revision must be the 40 hex digits of a commit, got {revision!r}")


def load_params(path: Path = PARAMS_FILE) -> Params:
    """Read and check all of `params.yaml`; ParamsError lists every broken rule at once."""
    if path.exists() and not path.is_file():
        raise ParamsError(f"{path}: is a folder, a pipe or a device, a file was expected; {RESTORE}")
    try:
        raw = parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ParamsError(f"{path}: no such file; run in the repository's top folder") from error
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror}); {RESTORE}") from error
    except ValueError as error:  # UnicodeDecodeError is one
        raise ParamsError(f"{path}: not readable as YAML: {error}\n  correct it, or {RESTORE}") from error
    if not isinstance(raw, dict):
        raise ParamsError(f"{path}: a mapping of sections was expected, got {show(raw)}; {RESTORE}")
    return parse_params(raw, place=str(path))


def parse_params(raw: dict[str, Any], *, place: str) -> Params:
    """Check a mapping of all sections; `place` opens the error message."""
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        lines = [_describe(broken) for broken in broken_rules(error)]
        rules = "a rule" if len(lines) == 1 else f"{len(lines)} rules"
        raise ParamsError(f"{place} breaks {rules}\n  " + "\n  ".join(lines)) from error


def unknown_key(key: str) -> str:
    """What to do about a dotted key that no section has."""
    if key in GONE:
        return f"is no longer a parameter: {GONE[key]}; remove it"
    return f"is now {MOVED[key]}" if key in MOVED else "is no known key; correct its spelling or remove it"


def _describe(broken: BrokenRule) -> str:
    if broken.kind == "missing":
        return f"{broken.key}: is missing; there is no default, so put it back"
    if broken.kind == "extra_forbidden":
        return f"{broken.key}: {unknown_key(broken.key)}"
    return f"{broken.key or 'the file'}: {broken.rule}{broken.came}"
