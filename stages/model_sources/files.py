"""Which files of a checkpoint count, and which checkpoints are refused by their files alone."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.errors import ModelError
from stages.files.json_text import dump_json, parse_json

PICKLE_SUFFIXES = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"}
SMALL_PATTERNS = ("*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")
MOST_LAYERS = 1000  # no model has as many, and building them even without weights would take for ever
INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"
# Notes of a machine, and code that transformers' own class of the same type makes needless.
DROPPED = {
    "config.json": ("_name_or_path", "_model_name_or_path", "auto_map"),
    "tokenizer_config.json": ("is_local", "local_files_only", "name_or_path", "auto_map"),
}


def weight_files(folder: Path, place: str) -> list[str]:
    """The files of weights by name: those of the index, or `model.safetensors`.

    Others beside them (`consolidated.safetensors`, `original/`) are the same weights in another form.
    """
    index = folder / INDEX
    if not index.exists():
        return [SINGLE]
    shards = read_config(index, place).get("weight_map")
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise ModelError(f"{place}: {index.name} has no weight_map; take a complete checkpoint")
    outside = sorted(name for name in shards.values() if Path(name).name != name)
    if outside:
        raise ModelError(f"{place}: {index.name} names {outside[0]!r}, which is not there; it leads away")
    return sorted(set(shards.values()))


def refuse_missing_weights(folder: Path, place: str) -> None:
    """ModelError where a file of weights is absent, or pickles stand in its place."""
    absent = [name for name in weight_files(folder, place) if not (folder / name).exists()]
    if not absent:
        return
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix in PICKLE_SUFFIXES)
    if absent == [SINGLE] and pickles and not list(folder.glob("*.safetensors")):
        raise ModelError(
            f"{place}: has pickled weights only ({', '.join(pickles)}); opening a pickle can run any "
            "code, so convert it to safetensors first"
        )
    if absent == [SINGLE]:
        raise ModelError(
            f"{place}: has no {SINGLE} and no index of shards; put a safetensors checkpoint there"
        )
    raise ModelError(f"{place}: {INDEX} names {absent[0]!r}, which is not there; download it again")


def refuse_by_config(folder: Path, place: str) -> None:
    """ModelError for what is no plain checkpoint: an adapter, quantised weights, one that brings its code."""
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        over = read_config(folder / "adapter_config.json", place).get("base_model_name_or_path")
        raise ModelError(
            f"{place}: is an adapter over {over!s:.80}, and no model; merge it into that one (PEFT's "
            "merge_and_unload) and take the result, or name that one"
        )
    for name in ("config.json", "tokenizer_config.json"):
        if not (folder / name).exists():
            raise ModelError(f"{place}: {name} is missing; a complete checkpoint has config and tokenizer")
    whole = read_config(folder / "config.json", place)
    model_type, n_layers = whole.get("model_type"), whole.get("num_hidden_layers")
    if isinstance(n_layers, int) and n_layers > MOST_LAYERS:
        raise ModelError(f"{place}: config.json asks for {n_layers} layers; take the config of its weights")
    for name in ("config.json", "tokenizer_config.json"):
        config = read_config(folder / name, place)
        if "auto_map" in config and not is_known(model_type):
            raise ModelError(
                f"{place}: {name} asks to run code shipped with the checkpoint (auto_map), and transformers "
                f"has no class of its own for {model_type!r}; choose a model that it supports itself"
            )
        for key, value in config.items():
            if key.endswith("_implementation") and "/" in str(value):
                raise ModelError(
                    f"{place}: {name} asks to run a kernel from a hub ({key}: {value!s:.80}); remove that key"
                )
        _refuse_quantised(config.get("quantization_config"), place)


def is_known(model_type: object) -> bool:
    """Has transformers classes of its own for this type of model?"""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return isinstance(model_type, str) and model_type in CONFIG_MAPPING


def _refuse_quantised(quantization: object, place: str) -> None:
    if isinstance(quantization, dict):
        method = quantization.get("quant_method", "an unnamed method")
        raise ModelError(
            f"{place}: its weights are quantised ({method!s:.40}), so reference and merge would not be of "
            "the model itself; take the checkpoint in 16 bits that it was made from, with "
            "runtime.quantization nf4 where it has to be small"
        )


def drop_notes(folder: Path) -> None:
    """Take what belongs to a machine, or would run code, out of the two configs."""
    for name, keys in DROPPED.items():
        config = read_config(folder / name, name)
        kept = {key: value for key, value in config.items() if key not in keys}
        if kept != config:
            (folder / name).write_text(dump_json(kept, indent=2) + "\n", encoding="utf-8")


def refuse_more_layers_than_weights(folder: Path, place: str) -> None:
    """Each layer has a tensor at least; a config that says otherwise would fill the memory first."""
    n_layers = read_config(folder / "config.json", place).get("num_hidden_layers")
    n_tensors = sum(1 for _ in _shapes(folder))
    if isinstance(n_layers, int) and n_layers > n_tensors:
        raise ModelError(
            f"{place}: config.json asks for {n_layers} layers, the weights have {n_tensors} tensors; take "
            "both from one checkpoint"
        )


def count_parameters(folder: Path) -> int:
    """Number of weights, from the safetensors headers alone; a broken header is a ModelError."""
    return sum(math.prod(shape) for shape in _shapes(folder))


def _shapes(folder: Path) -> Iterator[list[int]]:
    from safetensors import SafetensorError, safe_open

    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118 - safe_open is no mapping
                    yield tensors.get_slice(name).get_shape()
        except SafetensorError as error:
            raise ModelError(
                f"{file.name}: not a sound safetensors file ({error}); download it again"
            ) from error


def read_config(file: Path, place: str) -> dict[str, Any]:
    """A JSON object; ModelError for anything else."""
    try:
        config = parse_json(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{place}: {file.name} is not valid JSON ({error}); download it again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{place}: {file.name} holds no JSON object; download it again")
    return config
