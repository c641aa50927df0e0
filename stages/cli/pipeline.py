"""`bluepencil repro`, `exp` and `size`: DVC with the right interpreter, and parameters by size."""

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer

from stages.errors import InputError, ParamsError
from stages.files.io import read_text, write_text
from stages.files.yaml_text import parse_yaml, show
from stages.run.params import MOVED, PARAMS_FILE, Params, load_params, parse_params, unknown_key

SIZES = Path("sizes")


def repro(context: typer.Context) -> None:
    """Run `dvc repro` with this environment's Python; arguments are passed on."""
    check_inputs(load_params())
    run_dvc(["repro", *context.args])


def exp(context: typer.Context) -> None:
    """Run `dvc exp ...` with this environment's Python, e.g. `bluepencil exp run -S train.beta=0.3`.

    A bare `bluepencil exp show` prints one short row a variant instead of DVC's several hundred columns.
    """
    if context.args == ["show"]:
        from stages.pages.terminal import open_console
        from stages.variants.listing import print_experiments

        print_experiments(open_console())
        return
    check_inputs(load_params())
    refuse_moved_keys(context.args)
    run_dvc(["exp", *context.args])


def refuse_moved_keys(arguments: list[str]) -> None:
    """ParamsError for `-S KEY=VALUE` whose key has moved; DVC would only say that there is none."""
    keys = [re.match(r"(?:-S|--set-param=)?(?:params\.yaml:)?\+*([\w.]+)=", one) for one in arguments]
    moved = [f"{key[1]}: {unknown_key(key[1])}" for key in keys if key and key[1] in MOVED]
    if moved:
        raise ParamsError("-S names what has moved\n  " + "\n  ".join(moved))


def check_inputs(params: Params) -> None:
    """InputError for a raw input that is not there: DVC would say so too, but not what to do."""
    wanted = {
        "data.pairs": params.data.pairs,
        "data.prompts": params.data.prompts,
        "base_model.path": params.base_model.path,
        "mmlu.csv_dir": params.mmlu.csv_dir,
        "processes.accelerate_config": params.processes.accelerate_config,
    }
    absent = [f"{key}: {path} does not exist" for key, path in wanted.items() if not Path(path).exists()]
    if absent:
        raise InputError(
            "params.yaml names what is not there\n  " + "\n  ".join(absent) + "\n  correct the path"
        )


def run_dvc(arguments: list[str]) -> None:
    """Run DVC and exit as it does."""
    sys.exit(call_dvc(arguments))


def call_dvc(arguments: list[str]) -> int:
    """DVC's exit code, run so that `python` in a stage's command is the interpreter running now."""
    set_aside_broken_lock(Path("dvc.lock"))
    binaries = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([binaries, os.environ.get("PATH", "")])}
    return subprocess.run([sys.executable, "-m", "dvc", *arguments], env=environment, check=False).returncode


def set_aside_broken_lock(lock: Path) -> None:
    """Rename a dvc.lock that no longer can be read: DVC writes it in place, so a power cut can halve it.

    Nothing is lost by it: the run cache knows what every stage wrote.
    """
    if not lock.exists():
        return
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from voluptuous import Invalid

    try:
        text = read_text(lock)
        parse_yaml(text)  # ends quickly where DVC's reader would go on and on
        COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(text))
    except (YAMLError, Invalid, InputError, ValueError):
        aside = lock.replace(lock.with_suffix(".lock.broken"))
        typer.echo(
            f"bluepencil: {lock} could not be read; it is now {aside}, results come from the cache", err=True
        )


def size(name: Annotated[str, typer.Argument(help="A file of sizes/: default, gpu, gpu-24gb, ...")]) -> None:
    """Write the keys of `sizes/<name>.yaml` into params.yaml, comments kept; DVC sees ordinary parameters."""
    there = sorted(path.stem for path in SIZES.glob("*.yaml"))
    if not there:
        raise InputError(f"{SIZES}/: no such folder, or no size in it; run in the repository's top folder")
    if name not in there:
        raise InputError(f"sizes/{name}.yaml: no such size; name one of {', '.join(there)}")
    write_text(
        PARAMS_FILE, with_overrides(read_text(PARAMS_FILE), read_text(SIZES / f"{name}.yaml"), place=name)
    )
    typer.echo(f"params.yaml now has size {name}; see what changed with `git diff params.yaml`")


def with_overrides(params_text: str, overrides_text: str, *, place: str) -> str:
    """`params_text` with the keys of `overrides_text` set. InputError for a key that is not there already."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # no line is broken anew
    yaml.Representer = _as_params_yaml()
    for name, text in (("params.yaml", params_text), (f"sizes/{place}.yaml", overrides_text)):
        refuse_no_mapping(name, text)
    params = yaml.load(params_text)
    parse_params(params, place="params.yaml")  # before a size is blamed for a key that params.yaml lost
    # loaded alike, so that 5.0e-6 stays 5.0e-6: YAML 1.1 reads 5e-06 as text
    _override(params, yaml.load(overrides_text), [f"sizes/{place}.yaml"])
    stream = StringIO()
    yaml.dump(params, stream)
    parse_params(YAML(typ="safe").load(stream.getvalue()), place=f"params.yaml at size {place}")
    return stream.getvalue()


def _as_params_yaml() -> type[Any]:
    """ruamel's writer, which writes `null` where ruamel's own leaves the place empty."""
    from ruamel.yaml.representer import RoundTripRepresenter

    class Representer(RoundTripRepresenter):
        pass

    Representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    return Representer


def refuse_no_mapping(name: str, text: str) -> None:
    """InputError where a text is no YAML, or no mapping with a key."""
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise InputError(
            f"{name}: not readable as YAML: {error}\n  correct it, or `git checkout {name}`"
        ) from error
    if not isinstance(value, dict) or not value:
        raise InputError(
            f"{name}: keys of params.yaml were expected, got {show(value)}; `git checkout {name}`"
        )


def _override(target: Any, overrides: Any, trail: list[str]) -> None:
    for key, value in overrides.items():
        here = [*trail, key]
        if key not in target:
            raise InputError(f"{'.'.join(here)}: {unknown_key('.'.join(here[1:]))}")
        if isinstance(value, dict) and isinstance(target[key], dict):
            _override(target[key], value, here)
        else:
            target[key] = value
