"""What comes from a hub, from a loopback one: whole, cut, gated, quantised, an adapter, with code beside it."""

import errno
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import constants, file_download
from transformers import AutoModelForCausalLM

from stages.errors import ModelError
from stages.model.checkpoint import load_model, load_tokenizer
from stages.model.manifest import BaseManifest
from stages.model_sources.build import build_base_model
from stages.run.params import parse_params
from stages.run.shell import in_words
from tests.support.hub_server import REPO, REVISION, HubServer, serve
from tests.support.tiny_models import CONFIGS, tiny_model, tiny_tokenizer

ROOT = Path(__file__).parent.parent.parent
RUNTIME = parse_params(yaml.safe_load((ROOT / "params.yaml").read_text()), place="p").runtime
SHARD = "model-00002-of-00003.safetensors"


def write_source(folder: Path) -> None:
    """A checkpoint of three shards, with the same weights once more beside it."""
    tiny_model().save_pretrained(folder, max_shard_size="60KB")
    tiny_tokenizer().save_pretrained(folder)
    assert len(list(folder.glob("model-*.safetensors"))) == 3
    (folder / "consolidated.safetensors").write_bytes(b"the same weights, in another form")
    (folder / "original").mkdir()
    (folder / "original/model.safetensors").write_bytes(b"and once more")
    (folder / "original/params.json").write_text("{}")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    write_source(tmp_path / "source")
    with serve(tmp_path / "source") as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            server.address + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        yield server


def fetch(folder: Path, **runtime: Any) -> BaseManifest:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["base_model"] |= {"source": "hub", "repo_id": REPO, "revision": REVISION}
    raw["runtime"] |= {"n_threads": 1, **runtime}
    folder.mkdir()
    return build_base_model(parse_params(raw, place="params.yaml"), folder)


def test_only_what_the_index_names_is_downloaded_copied_and_counted(hub: HubServer, tmp_path: Path) -> None:
    manifest = fetch(tmp_path / "base")
    assert manifest.n_parameters == sum(weight.numel() for weight in tiny_model().parameters())
    assert (manifest.name, manifest.revision, manifest.licence) == (REPO, REVISION, "apache-2.0")
    assert not [name for name in hub.sent if "consolidated" in name or "original" in name]
    assert not (tmp_path / "base/consolidated.safetensors").exists()
    assert load_tokenizer(tmp_path / "base").chat_template


def test_a_restart_asks_for_nothing_that_came_whole(hub: HubServer, tmp_path: Path) -> None:
    hub.gone = {SHARD}
    with pytest.raises(ModelError, match="a file that its index names is not there"):
        fetch(tmp_path / "base")
    first = "model-00001-of-00003.safetensors"
    assert hub.sent[first] == 1
    hub.gone = set()
    fetch(tmp_path / "again")
    assert hub.sent[first] == 1
    assert hub.sent[SHARD] == 1


def test_a_tied_model_comes_without_its_head(hub: HubServer, tmp_path: Path) -> None:
    for file in hub.folder.glob("model*"):
        file.unlink()
    config = deepcopy(CONFIGS["llama"])
    config.tie_word_embeddings = True
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(hub.folder, max_shard_size="60KB")
    for folder in ("base", "again"):
        manifest = fetch(tmp_path / folder)
        assert manifest.n_parameters == sum(weight.numel() for weight in model.parameters())
        assert load_model(tmp_path / folder, None, RUNTIME).config.tie_word_embeddings
    assert {hub.sent[name] for name in manifest.files if name.startswith("model-")} == {1}


def test_a_disk_that_fills_is_said_and_a_restart_goes_on_with_whole_shards(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(url: str, *arguments: Any, **options: Any) -> None:
        if SHARD in url:
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))
        download(url, *arguments, **options)

    download = file_download.http_get
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left") as caught:
        patch.setattr(file_download, "http_get", fill)
        fetch(tmp_path / "base")
    assert "the disk is full" in str(in_words(caught.value))
    fetch(tmp_path / "again")
    assert hub.sent["model-00001-of-00003.safetensors"] == hub.sent[SHARD] == 1


def test_a_connection_that_is_cut_once_is_taken_up_again(hub: HubServer, tmp_path: Path) -> None:
    hub.cuts[SHARD] = 1
    fetch(tmp_path / "base")
    assert hub.sent[SHARD] == 2
    assert (tmp_path / "base" / SHARD).read_bytes() == (hub.folder / SHARD).read_bytes()


def test_a_connection_that_is_always_cut_is_one_message(hub: HubServer, tmp_path: Path) -> None:
    hub.cuts[SHARD] = -1
    with pytest.raises(ModelError, match="the download broke off .* what came whole stays"):
        fetch(tmp_path / "base")


def edit(name: str, **changes: Any) -> Callable[[HubServer], None]:
    def spoil(hub: HubServer) -> None:
        file = hub.folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))

    return spoil


def refusing(code: str) -> Callable[[HubServer], None]:
    return lambda hub: setattr(hub, "refusal", code)


def adapter(hub: HubServer) -> None:
    (hub.folder / "config.json").unlink()
    (hub.folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "a/base"}))


REFUSED: dict[str, tuple[Callable[[HubServer], None], str]] = {
    "gated": (refusing("GatedRepo"), "is gated; accept its terms at .*/team/model and run `hf auth login`"),
    "no repository": (refusing("RepoNotFound"), "no such repository, or a private one"),
    "no revision": (refusing("RevisionNotFound"), "has no such revision"),
    "awq": (
        edit("config.json", quantization_config={"quant_method": "awq", "bits": 4}),
        r"quantised \(awq\)",
    ),
    "gptq": (
        edit("config.json", quantization_config={"quant_method": "gptq", "bits": 4}),
        r"quantised \(gptq\)",
    ),
    "fp8": (edit("config.json", quantization_config={"quant_method": "fp8"}), r"quantised \(fp8\)"),
    "bitsandbytes": (
        edit("config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}),
        r"quantised \(bitsandbytes\).*runtime.quantization nf4",
    ),
    "an adapter": (adapter, "is an adapter over a/base"),
    "code of a type that nobody knows": (
        edit("config.json", model_type="evil", auto_map={"AutoConfig": "evil.Evil"}),
        "auto_map",
    ),
}


@pytest.mark.parametrize(("spoil", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_used_is_named_before_any_weights_come(
    hub: HubServer, tmp_path: Path, spoil: Callable[[HubServer], None], says: str
) -> None:
    spoil(hub)
    with pytest.raises(ModelError, match=says) as caught:
        fetch(tmp_path / "base")
    assert "\n" not in str(caught.value)
    assert not [name for name in hub.sent if name.endswith(".safetensors")]
    with pytest.raises(ModelError, match=says):  # and a restart says it again
        fetch(tmp_path / "again")


def test_a_gated_model_comes_once_its_terms_are_accepted(hub: HubServer, tmp_path: Path) -> None:
    hub.refusal = "GatedRepo"
    with pytest.raises(ModelError, match="is gated"):
        fetch(tmp_path / "base")
    hub.refusal = ""
    assert fetch(tmp_path / "again").name == REPO


def test_an_attention_that_the_model_lacks_is_named_before_any_weights_come(
    hub: HubServer, tmp_path: Path
) -> None:
    edit("config.json", model_type="gemma2", architectures=["Gemma2ForCausalLM"])(hub)
    with pytest.raises(
        ModelError, match="gemma2 cannot run with attention sdpa .* set runtime.attn_implementation to eager"
    ):
        fetch(tmp_path / "base")
    assert not [name for name in hub.sent if name.endswith(".safetensors")]


def test_code_beside_a_type_that_is_known_is_left_out(hub: HubServer, tmp_path: Path) -> None:
    edit("config.json", auto_map={"AutoModelForCausalLM": "evil.Evil"})(hub)
    edit("tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]})(hub)
    (hub.folder / "evil.py").write_text("raise SystemExit(1)\n")
    fetch(tmp_path / "base")
    assert "auto_map" not in json.loads((tmp_path / "base/config.json").read_text())
    assert not (tmp_path / "base/evil.py").exists()
    assert load_model(tmp_path / "base", None, RUNTIME).config.model_type == "llama"


@pytest.mark.parametrize("card", ["---\nlicense: [\n---\n", "---\n- a list\n---\n", "no front matter"])
def test_a_broken_card_is_said_and_costs_the_licence_alone(
    hub: HubServer, tmp_path: Path, card: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (hub.folder / "README.md").write_text(card)
    assert fetch(tmp_path / "base").licence == "unknown"


def test_nobody_there_is_one_message(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="the hub cannot be reached|the download broke off"):
        fetch(tmp_path / "base")
