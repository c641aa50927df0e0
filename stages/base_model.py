"""Stage `base_model`: one pinned, hashed safetensors checkpoint with its chat template.

Reads the source that `base_model.source` names; writes `models/base/` and its manifest.
"""

from stages.files.io import replacing_folder, write_json
from stages.model.manifest import MANIFEST
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import say
from stages.run.shell import run_stage


def main() -> None:
    """Build `models/base`."""
    params = load_params()  # `base_model` makes the files; the rest is only held against the architecture

    from stages.model_sources.build import build_base_model

    with replacing_folder(paths.BASE_MODEL) as folder:
        manifest = build_base_model(params, folder)
        write_json(folder / MANIFEST, manifest)
    say(
        f"base_model: {manifest.name} ({params.base_model.source}), "
        f"{manifest.n_parameters / 1e6:.0f} M parameters, licence {manifest.licence}"
    )


if __name__ == "__main__":
    run_stage(main)
