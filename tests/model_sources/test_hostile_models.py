"""Checkpoints of somebody who means harm: no code of theirs runs, nothing is read in their stead."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from stages.errors import ModelError
from stages.model.checkpoint import load_model, load_tokenizer
from stages.model.rendering import render_prompt
from stages.model_sources import template_trial
from stages.model_sources.build import build_base_model
from stages.run.params import load_params, parse_params
from tests.support.tiny_models import CHAT_TEMPLATE, CONFIGS, tiny_model, tiny_tokenizer, write_tiny_base

ROOT = Path(__file__).parent.parent.parent
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())
RUNTIME = load_params(ROOT / "params.yaml").runtime.model_copy(update={"n_threads": 1})
DEEP = "[" * 20_000

Spoil = Callable[[Path], Any]


def put(name: str, data: str | bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)


def edit(name: str, **changes: Any) -> Spoil:
    return lambda folder: put(name, json.dumps(json.loads((folder / name).read_text()) | changes))(folder)


def tokenizer(**changes: Any) -> Spoil:
    return edit("tokenizer_config.json", **changes)


def config(**changes: Any) -> Spoil:
    return edit("config.json", **changes)


def template(text: str) -> Spoil:
    return put("chat_template.jinja", text)


def templates(value: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "chat_template.jinja").unlink()
        tokenizer(chat_template=value)(folder)

    return spoil


def weights(header: str, data: bytes = b"\0" * 4, *, size: int | None = None) -> Spoil:
    length = len(header) if size is None else size
    return put("model.safetensors", length.to_bytes(8, "little") + header.encode() + data)


def index(text: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
        put("model.safetensors.index.json", text)(folder)

    return spoil


def link(name: str, target: str) -> Spoil:
    return lambda folder: (folder / name).symlink_to(target)


HOSTILE: dict[str, tuple[Spoil, str]] = {
    # code and classes of the checkpoint's own
    "config code": (config(auto_map={"AutoConfig": "evil.Evil"}, model_type="evil"), "auto_map"),
    "model of an unknown type": (config(model_type="evil"), "cannot be loaded"),
    "model type that is a list": (config(model_type=["llama"]), "cannot be loaded"),
    "tokenizer class that is a number": (tokenizer(tokenizer_class=3), "cannot be loaded"),
    "tokenizer class that is a list": (tokenizer(tokenizer_class=["a"]), "cannot be loaded"),
    "tokenizer class of other tokens": (tokenizer(tokenizer_class="BertTokenizer"), "cannot be used"),
    "tokenizer that replaces a method": (tokenizer(apply_chat_template="x"), "cannot be loaded"),
    "kernel from a hub": (config(_attn_implementation="evil/kernel", attn_implementation="evil/kernel"), "kernel from a hub"),
    "quantisation of another package": (config(quantization_config={"quant_method": "gptq", "bits": 4}), "quantised .gptq."),
    # values of other types
    "token that is a list": (tokenizer(eos_token=[1]), "cannot be loaded"),
    "token that is an object": (tokenizer(eos_token={"a": 1}), "cannot be loaded"),
    "length that is a word": (tokenizer(model_max_length="x"), "cannot be used"),
    "added token without a number": (tokenizer(added_tokens_decoder={"x": {"content": "y"}}), "cannot be loaded"),
    "added tokens that are a list": (tokenizer(added_tokens_decoder=[1]), "cannot be loaded"),
    "vocabulary of a word": (config(vocab_size="x"), "cannot be loaded"),
    "vocabulary beyond memory": (config(vocab_size=10**15), "cannot be loaded"),
    "hidden size below zero": (config(hidden_size=-1), "cannot be loaded"),
    "billion layers": (config(num_hidden_layers=10**9), "asks for 1000000000 layers"),
    "number format that is a function": (config(dtype="load"), "cannot be loaded"),
    "quantisation that is a number": (config(quantization_config=3), "cannot be loaded"),
    "unknown rotation": (config(rope_parameters={"rope_type": "evil"}), "cannot be loaded"),
    "no type": (put("config.json", "{}"), "cannot be loaded"),
    # files that are none
    "config is a list": (put("config.json", "[]"), "holds no JSON object"),
    "config nested deeply": (put("config.json", DEEP), "nested too deeply"),
    "config with a key twice": (put("config.json", '{"vocab_size": 1, "vocab_size": 2}'), "twice"),
    "tokenizer config is null": (put("tokenizer_config.json", "null"), "holds no JSON object"),
    "tokenizer config nested deeply": (put("tokenizer_config.json", DEEP), "nested too deeply"),
    "tokenizer config in UTF-16": (put("tokenizer_config.json", "{}".encode("utf-16")), "not valid JSON"),
    "tokenizer cut off": (put("tokenizer.json", "{"), "cannot be loaded"),
    "tokenizer of nothing": (put("tokenizer.json", "{}"), "cannot be loaded"),
    "tokenizer is null": (put("tokenizer.json", "null"), "cannot be loaded"),
    "tokenizer nested deeply": (put("tokenizer.json", DEEP), "cannot be loaded"),
    "tokenizer is binary": (put("tokenizer.json", b"\xff\x00" * 50), "cannot be loaded"),
    "special tokens cut off": (put("special_tokens_map.json", "["), "cannot be loaded"),
    "generation config is a list": (put("generation_config.json", "[]"), "cannot be loaded"),
    "a folder for a file": (lambda folder: (folder / "vocab.json").mkdir(), "is no file"),
    # weights
    "no bytes": (put("model.safetensors", b""), "not a sound safetensors"),
    "header beyond the file": (weights("{}", size=2**60), "not a sound safetensors"),
    "header of a hundred megabytes": (weights(" " * 100, size=99_000_000), "not a sound safetensors"),
    "tensor beyond memory": (
        weights('{"a":{"dtype":"F32","shape":[1000000000,1000000000],"data_offsets":[0,4]}}'),
        "not a sound safetensors",
    ),
    "tensor outside of the file": (
        weights('{"a":{"dtype":"F32","shape":[1],"data_offsets":[400,404]}}'), "not a sound safetensors"
    ),
    "weights of another model": (
        weights(json.dumps({name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in "abc"}), b""),
        "lack 21 tensors",
    ),
    "shard outside of the folder": (index('{"weight_map": {"a": "../../../etc/passwd"}}'), "is not there"),
    "shards without a map": (index('{"weight_map": ["a"]}'), "no weight_map"),
    "index cut off": (index("["), "not valid JSON"),
    # links
    "link to a private file": (link("vocab.txt", "/etc/passwd"), "leads out of the checkpoint"),
    "link to itself": (link("vocab.txt", "vocab.txt"), "link to nothing"),
    # chat templates
    "way out through a class": (template("{{ ''.__class__.__mro__[1].__subclasses__() }}"), "SecurityError"),
    "way out through a list": (template("{{ messages.__init__.__globals__ }}"), "SecurityError"),
    "way out through a filter": (template("{{ ''|attr('__class__') }}"), "to nothing"),
    "way out through a format": (template("{{ '{0.__class__.__mro__}'.format('') }}"), "SecurityError"),
    "way out through a map": (template("{{ '{a.__class__}'.format_map({'a': 1}) }}"), "to nothing"),
    "way out through cycler": (template("{{ cycler.__init__.__globals__.os.system('true') }}"), "SecurityError"),
    "way out through lipsum": (template("{{ lipsum.__globals__['os'].system('true') }}"), "SecurityError"),
    "way out through our function": (template("{{ raise_exception.__globals__ }}"), "to nothing"),
    "change of the conversation": (template("{{ messages.clear() }}"), "SecurityError"),
    "import": (template("{% import 'os' as os %}"), "loads another file"),
    "include": (template("{% include '/etc/passwd' %}"), "loads another file"),
    "extension": (template("{% extends 'base' %}"), "loads another file"),
    "range without end": (template("{% for a in range(999999999) %}x{% endfor %}"), "Range too big"),
    "loops inside loops": (
        template("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}x"), "more than"
    ),
    "text of ten gigabytes": (template("{{ 'x' * 10000000000 }}"), "multiplies without bound"),
    "number of a billion digits": (template("{{ 9 ** 999999999 }}"), "multiplies without bound"),
    "macro that calls itself": (template("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), "RecursionError"),
    "division by zero": (template("{{ 1 / 0 }}"), "ZeroDivisionError"),
    "text plus number": (template("{{ 1 + 'a' }}"), "TypeError"),
    "name that is not there": (template("{{ nothing.at.all }}"), "UndefinedError"),
    "broken syntax": (template("{% for %}"), "TemplateSyntaxError"),
    "refusal": (template("{{ raise_exception('no') }}"), "no"),
    "template of no conversation": (template("hello"), "renders two different answers alike"),
    "template that drops the question": (
        template("<{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{% endif %}{% endfor %}"),
        "renders two different prompts alike",
    ),
    "template that is empty": (template(""), "no chat template"),
    "template that is no text": (put("chat_template.jinja", b"\xff\xfe\xfa"), "cannot be loaded"),
    "templates without a default": (templates([{"name": "x", "template": CHAT_TEMPLATE}]), "none called default"),
}  # fmt: skip


def use(source: Path, folder: Path) -> list[int]:
    """All that the pipeline does with somebody's checkpoint, from copying to a rendered prompt."""
    folder.mkdir()
    raw = SHIPPED | {"base_model": SHIPPED["base_model"] | {"source": "path", "path": str(source)}}
    build_base_model(parse_params(raw, place="params.yaml"), folder)
    read = load_tokenizer(folder)
    load_model(folder, None, RUNTIME)
    return render_prompt(read, "Hi.")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_base(tmp_path_factory.mktemp("sound") / "checkpoint")


@pytest.fixture
def source(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound checkpoint with code beside it that leaves a mark wherever it is run."""
    monkeypatch.setattr(template_trial, "SECONDS", 0.5)
    folder = tmp_path / "source"
    folder.mkdir()
    for file in sound.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for name in ("evil.py", "modeling_evil.py", "tokenization_evil.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'mark')!r}, 'w').close()\nclass Evil: pass\n")
    return folder


@pytest.mark.parametrize(("spoil", "says"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_checkpoint_is_refused_and_runs_nothing(
    spoil: Spoil, says: str, source: Path, tmp_path: Path
) -> None:
    spoil(source)
    with pytest.raises(ModelError, match=says) as caught:
        use(source, tmp_path / "base")
    assert not (tmp_path / "mark").exists()
    assert len(str(caught.value)) < 2000


HARMLESS: dict[str, Spoil] = {
    "tokenizer code beside a class of transformers": tokenizer(
        auto_map={"AutoTokenizer": ["evil.Evil", None]}
    ),
    "model code beside a class of transformers": config(auto_map={"AutoModelForCausalLM": "evil.Evil"}),
    "as it is": lambda folder: None,
    "a class name from outside": tokenizer(tokenizer_class="os.system"),
    "a class that nobody has": tokenizer(tokenizer_class="EvilTokenizer"),
    "an architecture that nobody has": config(architectures=["EvilForCausalLM"]),
    "a pickle beside the weights": put("pytorch_model.bin", b"cos\nsystem\n(S'true'\ntR."),
    "training arguments": put("training_args.bin", b"cos\nsystem\n(S'true'\ntR."),
}


@pytest.mark.parametrize("spoil", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_can_be_ignored_is_and_runs_nothing(spoil: Spoil, source: Path, tmp_path: Path) -> None:
    spoil(source)
    assert use(source, tmp_path / "base") == render_prompt(tiny_tokenizer(), "Hi.")
    assert not (tmp_path / "mark").exists()
    assert not list((tmp_path / "base").glob("*.bin")) + list((tmp_path / "base").glob("*.py"))


def test_a_checkpoint_of_shared_embeddings_lacks_nothing(tmp_path: Path) -> None:
    write_tiny_base(tmp_path / "source")
    shared = type(CONFIGS["llama"])(**{**CONFIGS["llama"].to_dict(), "tie_word_embeddings": True})
    tiny_model_of(shared).save_pretrained(tmp_path / "source")
    assert use(tmp_path / "source", tmp_path / "base")


def tiny_model_of(shape: Any) -> Any:
    torch.manual_seed(0)
    return type(tiny_model())(shape)


def test_a_link_into_the_hubs_cache_is_followed(source: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--a--b/snapshots/0123"
    blobs = tmp_path / "models--a--b/blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, file in enumerate(sorted(source.iterdir())):
        file.rename(blobs / str(number))
        (snapshot / file.name).symlink_to(f"../../blobs/{number}")
    assert use(snapshot, tmp_path / "base")


class Bomb:
    """A pickle that leaves a mark when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_an_adapter_that_is_a_pickle_is_refused(source: Path, tmp_path: Path) -> None:
    from stages.model.checkpoint import base_sha256

    (source / "manifest.json").write_text("{}")
    policy = tmp_path / "policy"
    policy.mkdir()
    (policy / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "target_modules": ["q_proj"]}')
    (policy / "manifest.json").write_text(json.dumps({"base_sha256": base_sha256(source)}))
    torch.save({"a": Bomb(tmp_path / "mark")}, policy / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors: no such file"):
        load_model(source, policy, RUNTIME)
    assert not (tmp_path / "mark").exists()
