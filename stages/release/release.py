"""`bluepencil release`: refuse, or build the folder that ships, note it in git, and push it where asked."""

import warnings
from pathlib import Path

from stages.errors import ReleaseError
from stages.files.numbers import percent
from stages.release.lineage import Decision, Lineage
from stages.release.objections import gather_objections
from stages.release.registry import artifact_of, settle_version
from stages.release.rules import object_to_override
from stages.release.writing import Plan, write_release
from stages.reporting.pages import read_gates
from stages.repository.git import head_revision
from stages.run import paths
from stages.run.params import load_params
from stages.run.progress import say
from stages.variants.compare import count_all_looks
from stages.variants.experiments import list_experiments

RELEASES = Path("releases")


def release_model(
    *, to: Path | None, override: str | None, push_to_hub: str | None, version: str | None
) -> None:
    """Write the release, register it and, where asked, upload it."""
    warnings.simplefilter("ignore", FutureWarning)  # libraries among themselves; versions are pinned
    plan = make_plan(to=to, override=override, version=version)
    if push_to_hub is not None:
        from stages.release.hub import check_hub

        check_hub(push_to_hub, plan.version)
    lineage = write_release(plan)
    report_release(plan, lineage)
    if push_to_hub is not None:
        from stages.release.hub import push_folder

        say(f"uploading {plan.folder} to {push_to_hub}")
        print(f"pushed: {push_folder(plan.folder, push_to_hub, plan.version)}")


def make_plan(*, to: Path | None, override: str | None, version: str | None) -> Plan:
    """Everything settled before an hour is spent; ReleaseError lists all that forbids the release."""
    params, gates = load_params(), read_gates()
    rev = head_revision()
    objections, study = gather_objections(params, gates)
    artifact = artifact_of(paths.POLICY_MODEL)
    problems = object_to_override(objections, override)
    try:
        chosen = settle_version(artifact, rev, version)
    except ReleaseError as error:
        chosen = ""
        problems.append(str(error))
    folder = to or RELEASES / f"{artifact}-{chosen}"
    if folder.exists() or folder.is_symlink():
        problems.append(f"{folder}: exists already; a release is never overwritten, name another folder")
    if problems:
        way_out = ""
        if override is None and problems == objections.overridable:
            way_out = '\n  to ship all the same, say why for everyone to read: --override "..."'
        raise ReleaseError("release refused\n  " + "\n  ".join(problems) + way_out)
    variants = list_experiments()  # the workspace first: it is clean, so it is the commit that ships
    return Plan(
        params=params,
        folder=folder,
        artifact=artifact,
        version=chosen,
        git_revision=rev,
        decision=Decision(
            overall=gates.overall.state,
            gates={name: verdict.state for name, verdict in gates.named().items()},
            override=override or "",
            overridden=objections.overridable,
        ),
        n_looks=count_all_looks(variants, variants[0]),
        study=study,
    )


def report_release(plan: Plan, lineage: Lineage) -> None:
    """What was written, how close it is to what was judged, and what comes next."""
    model, again = lineage.model, lineage.model.regeneration
    print(f"released {lineage.tag} into {plan.folder}, overall {plan.decision.overall}")
    if plan.decision.override:
        print(f"  released all the same: {plan.decision.override}")
    if model.merge.n_modules:
        print(
            f"  weights: base + adapter in {model.merge.n_modules} modules, which took up "
            f"{percent(model.merge.slope, places=2)} of it ({percent(model.merge.slope_low, places=2)} to "
            f"{percent(model.merge.slope_high, places=2)}); every other tensor is the base's"
        )
    else:
        print("  weights: the judged ones, byte for byte")
    drift = model.drift
    print(
        f"  over {drift.n_positions} tokens of {drift.n_rows} held-out pairs: {drift.kl:.2g} nats a token "
        f"from the judged model (which is {drift.kl_from_base:.2g} from the base), the same token first "
        f"at {percent(drift.same_top_token, places=2)}, logits differ by {drift.mean_logit_difference:.2g} "
        "on average"
    )
    n_same = again.n_prompts - len(again.different)
    print(f"  the study's completions: {n_same} of {again.n_prompts} come out the same")
    if again.different:
        print(f"  different: {', '.join(again.different)}")
    print(f"  looks at the held-out pairs: at least {lineage.n_looks}")
    print(f"next: git push origin {lineage.tag}; anyone checks it with `bluepencil verify {plan.folder}`")
