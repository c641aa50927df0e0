"""`make torture`: attack every stage of a tiny repository, then see that `dvc repro` heals it.

A case disturbs one run. Afterwards a plain `dvc repro` must succeed without a human, `dvc.lock` must have
the bytes of an undisturbed run, nothing temporary may lie about and no process may be left. A case that
this machine cannot run is listed as not run, never as passed.
"""

import argparse
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tests.support import disturbances
from tests.support.disturbances import CannotRunError, Disturbance, Repository
from tests.support.tiny_repository import make_tiny_repository


@dataclass(frozen=True)
class Case:
    """One disturbance of one stage (or of the whole pipeline: stage None)."""

    name: str
    stage: str | None
    disturb: Disturbance


@dataclass(frozen=True)
class Result:
    """What became of a case: passed, failed or not run, and why."""

    case: Case
    state: str
    detail: str
    seconds: float


def undisturbed(folder: Path) -> Repository:
    """A tiny repository in which the whole pipeline has run once."""
    repository = Repository(make_tiny_repository(folder))
    done = repository.dvc("repro")
    if done.returncode:
        raise SystemExit(f"the undisturbed run failed\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return repository


def cases(stages: list[str], durations: dict[str, float], *, kills: int, seed: int) -> Iterator[Case]:
    """Every stage killed at `kills` random moments of its run, and once by each other disturbance."""
    draw = random.Random(seed)
    for stage in stages:
        for number in range(kills):
            after = draw.uniform(0.1, 0.9) * durations[stage]
            yield Case(f"SIGKILL {number + 1}, after {after:.1f} s", stage, disturbances.kill_stage(after))
        yield Case("last file half-written", stage, disturbances.truncated_out)
        yield Case("disk full at every size", stage, disturbances.file_size_limits)
    for stage in ("train", "generate@policy"):
        half = durations[stage] / 2
        yield Case("SIGTERM", stage, disturbances.signal_dvc("SIGTERM", half))
        yield Case("Ctrl-C", stage, disturbances.signal_dvc("SIGINT", half))
        yield Case("DVC killed, child alive", stage, disturbances.signal_dvc("SIGKILL", half))
    yield Case("out of memory", "train", disturbances.out_of_memory)
    yield Case("two repros at once", "train", disturbances.two_at_once)
    yield Case("clock jumps a year back", "train", disturbances.clock_jump)
    yield Case("file times of 1990 and 2040", None, disturbances.odd_file_times)
    yield Case("read-only cache, another user", "split", disturbances.read_only_cache)
    yield Case("dvc.lock half-written", None, disturbances.truncated_lock)
    yield Case("a colleague's surroundings", None, disturbances.other_surroundings)
    yield Case("two threads", None, disturbances.other_threads)
    yield Case("queue worker killed", None, disturbances.killed_queue_worker)


def run_case(case: Case, template: Repository, folder: Path, *, target: str | None = None) -> Result:
    """Copy the template, take the stage's results away, disturb, heal (up to `target`), compare."""
    started = time.monotonic()

    def result(state: str, detail: str) -> Result:
        return Result(case, state, detail, time.monotonic() - started)

    repository = template.copy(folder)
    if case.stage:
        repository.forget(case.stage)
    try:
        seen = case.disturb(repository, case.stage)
        problems = [*seen.problems, *healed(repository, template, target)]
    except CannotRunError as reason:
        return result("not run", str(reason))
    except subprocess.SubprocessError as error:
        return result("failed", str(error))
    shutil.rmtree(folder.parent, ignore_errors=True)
    return result("failed" if problems else "passed", "; ".join(problems) or seen.what)


def healed(repository: Repository, template: Repository, target: str | None) -> Iterator[str]:
    """What is wrong after one plain `repro`: nothing, if all is well."""
    left = repository.processes()
    if left:
        yield f"still computing: {left}"
    again = repository.bluepencil("repro", *([target] if target else []))
    if again.returncode:
        yield f"repro after it failed: {again.stderr[-400:]}"
    if repository.lock() != template.lock():
        yield f"dvc.lock differs in {sorted(repository.differing(template))}"
    temporary = repository.temporary_files()
    if temporary:
        yield f"left behind: {temporary}"


def in_words(result: Result) -> str:
    """One line."""
    case = result.case
    return (
        f"{result.state:8} {case.stage or 'pipeline'}: {case.name} ({result.seconds:.0f} s) {result.detail}"
    )


def main() -> None:
    """Run all cases, print a line each and a summary; exit 1 if one failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=3, help="random moments per stage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time, each on one thread")
    parser.add_argument("--only", default="", help="cases whose line contains this text")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results/torture.json"))
    options = parser.parse_args()
    # a shell that starts this in the background lets it, and all that it starts, be deaf to Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="torture-") as scratch:
        Path(scratch).chmod(0o755)  # another user must get in
        print("torture: an undisturbed run first", flush=True)
        template = undisturbed(Path(scratch) / "template/repository")
        durations = template.durations()
        chosen = [
            case
            for case in cases(list(durations), durations, kills=options.kills, seed=options.seed)
            if options.only in f"{case.stage or 'pipeline'}: {case.name}"
        ]
        results = []
        with ThreadPoolExecutor(options.jobs) as pool:
            running = [
                pool.submit(run_case, case, template, Path(scratch) / f"case-{number}/repository")
                for number, case in enumerate(chosen)
            ]
            for number, ended in enumerate(as_completed(running), start=1):
                result = ended.result()
                results.append(result)
                print(f"[{number}/{len(chosen)}] {in_words(result)}", flush=True)
    results.sort(key=lambda result: chosen.index(result.case))
    seconds = time.monotonic() - began
    counts = {state: sum(r.state == state for r in results) for state in ("passed", "failed", "not run")}
    print(
        "torture: " + ", ".join(f"{n} {state}" for state, n in counts.items()) + f", {seconds / 60:.0f} min"
    )
    rows = [
        {"stage": r.case.stage, "case": r.case.name, "state": r.state, "detail": r.detail} for r in results
    ]
    options.results.write_text(
        json.dumps({"counts": counts, "seconds": round(seconds), "cases": rows}, indent=2) + "\n"
    )
    sys.exit(1 if counts["failed"] else 0)


if __name__ == "__main__":
    main()
