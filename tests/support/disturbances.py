"""What can happen to a run: each disturbance does it to one repository and says what was seen."""

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import yaml

from tests.support.tiny_repository import CommandLine, make_tiny_repository

LONGEST_RUN_S = CommandLine.longest_s
ORPHAN_GRACE_S = 15
N_ATTEMPTS = 5
TEMPORARY = ".*.tmp"
NOBODY = 65534
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2  # linux/prctl.h, linux/capability.h
LIBC = ctypes.CDLL(None)


class CannotRunError(Exception):
    """This machine lacks what the case needs."""


@dataclass(frozen=True)
class Seen:
    """What a disturbance did, and what already went wrong."""

    what: str
    problems: list[str] = field(default_factory=list)


Disturbance = Callable[["Repository", str | None], Seen]


class Repository(CommandLine):
    """A tiny repository that runs its own code with its own checkpoints and DVC state."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.forgotten_outs: list[Path] = []
        self.forgotten: dict[Path, bytes] = {}  # what they held

    def dvc(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run DVC."""
        return self.run("dvc", *arguments, **options)

    def bluepencil(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the command-line tool."""
        return self.run("stages", *arguments)

    def run_stage(self, stage: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a stage's own command, as DVC would."""
        name, _, model = stage.partition("@")
        return self.run(f"stages.{name}", *([model] if model else []), **options)

    def lock(self) -> dict[str, object]:
        """What dvc.lock says of each stage."""
        return dict(yaml.safe_load((self.root / "dvc.lock").read_text())["stages"])

    def differing(self, other: "Repository") -> set[str]:
        """Stages whose lock entries differ."""
        mine, theirs = self.lock(), other.lock()
        return {name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)}

    def durations(self) -> dict[str, float]:
        """Seconds each stage takes, in pipeline order; every stage is run again."""
        seconds = {}
        for stage in self.lock():
            started = time.monotonic()
            self.run_stage(stage).check_returncode()
            seconds[stage] = time.monotonic() - started
        return seconds

    def outs(self, stage: str) -> list[Path]:
        """Files and folders that the stage writes."""
        return [self.root / out["path"] for out in self.lock()[stage]["outs"]]  # type: ignore[index]

    def copy(self, folder: Path) -> "Repository":
        """The same repository elsewhere; neither sees what happens to the other."""
        shutil.copytree(self.root, folder, symlinks=True)
        return Repository(folder)

    def forget(self, stage: str) -> None:
        """As if the stage had never run: no outs, no lock entry, no run cache."""
        self.forgotten_outs = self.outs(stage)
        self.forgotten = _contents(self.forgotten_outs)
        for out in self.forgotten_outs:
            shutil.rmtree(out) if out.is_dir() else out.unlink()
        lock = yaml.safe_load((self.root / "dvc.lock").read_text())
        del lock["stages"][stage]
        (self.root / "dvc.lock").write_text(yaml.safe_dump(lock, sort_keys=False))
        shutil.rmtree(self.root / ".dvc/cache/runs", ignore_errors=True)

    def processes(self, grace_s: float = ORPHAN_GRACE_S) -> list[str]:
        """Commands still running in the repository after a moment's grace."""
        until = time.monotonic() + grace_s
        while (left := self.running("")) and time.monotonic() < until:
            time.sleep(0.2)
        return [" ".join(process.cmdline()) for process in left if process.is_running()]

    def workers(self) -> list[psutil.Process]:
        """DVC's queue workers."""
        return self.running("queue-worker")

    def stage_processes(self) -> list[psutil.Process]:
        """Stages that run now, in the folder or in an experiment's copy of it."""
        return self.running("-m stages.")

    def running(self, words: str) -> list[psutil.Process]:
        """Processes in the repository whose command has `words`."""
        found = []
        for process in psutil.process_iter():
            try:
                here = Path(process.cwd()).is_relative_to(self.root)
                if here and process.status() != psutil.STATUS_ZOMBIE and words in " ".join(process.cmdline()):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def temporary_files(self) -> list[str]:
        """Files that an interrupted write left behind."""
        found = (path for folder in ("data", "metrics", "models", "reports", "study")
                 for path in (self.root / folder).rglob(TEMPORARY))  # fmt: skip
        return [path.relative_to(self.root).as_posix() for path in found]


def wait_for_stage(dvc: "subprocess.Popen[str]") -> psutil.Process | None:
    """The stage's Python, once DVC has started it; None when DVC ended first."""
    while dvc.poll() is None:
        for child in psutil.Process(dvc.pid).children(recursive=True):
            try:
                command = child.cmdline()
            except psutil.NoSuchProcess:
                continue
            if len(command) > 2 and command[1] == "-m" and command[2].startswith("stages."):
                return child
        time.sleep(0.02)
    return None


def while_it_runs(
    repository: Repository,
    stage: str | None,
    after: float,
    act: Callable[["subprocess.Popen[str]", psutil.Process], None],
) -> "subprocess.Popen[str]":
    """DVC, ended, after `act` was done to it or its stage in mid-run; sooner each time it came too late."""
    for attempt in range(N_ATTEMPTS):
        dvc = repository.start("dvc", "repro", "--single-item", str(stage))
        child = wait_for_stage(dvc)
        time.sleep(after / 2**attempt)
        in_time = child is not None and child.is_running() and child.status() != psutil.STATUS_ZOMBIE
        if in_time and child is not None:
            act(dvc, child)
        dvc.communicate(timeout=LONGEST_RUN_S)
        if in_time:
            return dvc
        repository.forget(str(stage))
    raise CannotRunError(f"the stage ended {N_ATTEMPTS} times before it could be disturbed")


def kill_stage(after: float) -> Disturbance:
    """SIGKILL to the stage's process `after` seconds from its start: a crash, or the kernel short of memory."""

    def disturb(repository: Repository, stage: str | None) -> Seen:
        dvc = while_it_runs(repository, stage, after, lambda _, child: child.kill())
        return Seen("killed", [] if dvc.returncode else ["DVC called a killed stage a success"])

    return disturb


def signal_dvc(name: str, after: float) -> Disturbance:
    """A signal to DVC alone, or for Ctrl-C to all of the terminal's processes."""
    number = signal.Signals[name]
    send = os.killpg if name == "SIGINT" else os.kill

    def disturb(repository: Repository, stage: str | None) -> Seen:
        dvc = while_it_runs(repository, stage, after, lambda dvc, _: send(dvc.pid, number))
        return Seen(f"DVC ended with {dvc.returncode}", [] if dvc.returncode else [f"{name} was not felt"])

    return disturb


def file_size_limits(repository: Repository, stage: str | None) -> Seen:
    """No file may grow beyond a few bytes, as on a disk that fills up while an out is written."""
    problems = []
    for limit in (0, 200, 4000):
        before = _contents(repository.forgotten_outs)
        done = repository.run_stage(str(stage), preexec_fn=partial(_limit_file_size, limit))
        if "Traceback" in done.stderr:
            problems.append(f"a traceback at {limit} bytes: {done.stderr.strip().splitlines()[-1][:200]}")
        after = _contents(repository.forgotten_outs)
        whole = repository.forgotten
        if any(after[path] not in (before.get(path), whole.get(path)) for path in after):
            problems.append(f"an out is neither as it was nor whole at {limit} bytes")
    return Seen("ended with its message", problems)


def truncated_out(repository: Repository, stage: str | None) -> Seen:
    """Power fails when the outs are written and DVC has not recorded them: the last one is cut in half."""
    repository.run_stage(str(stage)).check_returncode()
    files = [
        file for out in repository.forgotten_outs for file in ([out] if out.is_file() else out.rglob("*"))
    ]
    last = max((file for file in files if file.is_file()), key=lambda file: file.stat().st_mtime_ns)
    os.truncate(last, last.stat().st_size // 2)
    return Seen(f"cut {last.name}")


def truncated_lock(repository: Repository, _: str | None) -> Seen:
    """Power fails while DVC writes dvc.lock, which it does in place."""
    lock = repository.root / "dvc.lock"
    os.truncate(lock, lock.stat().st_size // 2)
    return Seen("cut dvc.lock")


def out_of_memory(repository: Repository, stage: str | None) -> Seen:
    """The system gives the running stage no more memory."""
    dvc = repository.start("dvc", "repro", "--single-item", str(stage))
    child = wait_for_stage(dvc)
    if child is None:
        return Seen("the stage never ran", ["the stage never ran"])
    while child.is_running() and not any("torch" in file.path for file in child.memory_maps()):
        time.sleep(0.05)
    limit = child.memory_info().vms
    child.rlimit(resource.RLIMIT_AS, (limit, limit))
    dvc.communicate(timeout=LONGEST_RUN_S)
    return Seen(f"DVC ended with {dvc.returncode}", [] if dvc.returncode else ["the limit was not felt"])


def two_at_once(repository: Repository, _: str | None) -> Seen:
    """A second repro starts while the first trains."""
    first = repository.start("dvc", "repro")
    wait_for_stage(first)
    second = repository.dvc("repro")
    first.communicate(timeout=LONGEST_RUN_S)
    codes = (first.returncode, second.returncode)
    return Seen(
        f"they ended with {codes}", [] if 0 in codes else [f"neither succeeded: {second.stderr[-300:]}"]
    )


def clock_jump(repository: Repository, stage: str | None) -> Seen:
    """The stage runs with a clock a year behind, its inputs' times in its future."""
    if not shutil.which("faketime"):
        raise CannotRunError("faketime is not installed (Debian: apt-get install faketime)")
    done = subprocess.run(
        ["faketime", "-f", "-365d", sys.executable, "-m", "dvc", "repro", "--single-item", str(stage)],
        cwd=repository.root, env=repository.environment, capture_output=True, text=True, check=False,
        timeout=LONGEST_RUN_S,
    )  # fmt: skip
    return Seen("ran a year ago", [] if done.returncode == 0 else [done.stderr[-300:]])


def odd_file_times(repository: Repository, _: str | None) -> Seen:
    """Every file seems to be of 1990 or of 2040: what is equal is not run again."""
    files = [path for path in repository.root.rglob("*") if path.is_file() and ".git" not in path.parts]
    for number, path in enumerate(files):
        second = (631152000, 2208988800)[number % 2]
        os.utime(path, (second, second))
    done = repository.dvc("repro")
    ran = done.stdout.count("Running stage")
    return Seen("nothing ran again", [f"{ran} stages ran again"] if ran else [])


def read_only_cache(repository: Repository, stage: str | None) -> Seen:
    """Somebody who may not write the cache runs the stage."""
    if os.geteuid() != 0:
        raise CannotRunError("only root can become another user")
    repository.root.parent.chmod(0o755)
    cache = repository.root / ".dvc/cache"
    folders = [cache, *(path for path in cache.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o555)
    private = repository.environment | {
        "HOME": str(repository.root),
        "DVC_SITE_CACHE_DIR": str(repository.root / ".site"),
    }
    repository.environment, mine = private, repository.environment
    command = ("repro", "--single-item", str(stage))
    try:
        _give_all_to(repository, NOBODY)
        done, who = repository.dvc(*command, user=NOBODY, group=NOBODY), "another user"
    except PermissionError:  # this Python lies where no other user may look
        _give_all_to(repository, 0)
        done, who = repository.dvc(*command, preexec_fn=_obey_permissions), "root, obeying permissions"
    repository.environment = mine
    for path in folders:
        path.chmod(0o755)
    _give_all_to(repository, 0)
    said = done.stderr.strip().splitlines()[-1:]
    problems = (
        [] if done.returncode and "ermission" in done.stderr else [f"no word of it: {done.stderr[-300:]}"]
    )
    return Seen(f"{who}: {' '.join(said)[:120]}", problems)


def _give_all_to(repository: Repository, owner: int) -> None:
    for path in [repository.root, *repository.root.rglob("*")]:
        os.chown(path, owner, owner, follow_symlinks=False)


def _obey_permissions() -> None:
    """Root's process loses, for itself and what it starts, the right to pass over file permissions."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError("prctl(PR_CAPBSET_DROP) was refused")


def other_surroundings(repository: Repository, _: str | None) -> Seen:
    """A colleague runs it from nothing: other folder, locale, time zone, hash seed, file mode mask."""
    colleague = Repository(make_tiny_repository(repository.root.parent / "a folder of a colleague's"))
    colleague.environment |= {
        "LC_ALL": "C",
        "LANG": "tr_TR.UTF-8",
        "TZ": "Asia/Kathmandu",
        "PYTHONHASHSEED": "4711",
        "COLUMNS": "40",
    }
    done = colleague.dvc("repro", umask=0o077)
    if done.returncode:
        return Seen("", [f"a colleague's repro failed: {done.stderr[-400:]}"])
    differing = sorted(colleague.differing(repository))
    return Seen("dvc.lock has the same bytes", [f"dvc.lock differs in {differing}"] if differing else [])


def other_threads(repository: Repository, _: str | None) -> Seen:
    """Two threads instead of one: said, not demanded, because the last bits may differ."""
    before = repository.lock()
    done = repository.dvc("exp", "run", "-S", "runtime.n_threads=2")
    after = repository.lock()
    repository.dvc("exp", "run", "-S", "runtime.n_threads=1")
    if done.returncode:
        return Seen("", [f"with two threads: {done.stderr[-400:]}"])
    differing = sorted(name for name in before if before[name]["outs"] != after[name]["outs"])  # type: ignore[index]
    return Seen(f"other bytes with two threads: {', '.join(differing) or 'none'}")


def killed_queue_worker(repository: Repository, _: str | None) -> Seen:
    """The worker of a queued experiment is killed; stopped as docs/training.md says and queued again, it ends.

    DVC runs an experiment in a process apart from its worker. That one may go on, and DVC's list calls it
    running: `dvc queue kill` ends both.
    """
    queue_variant(repository, "killed")
    worker = _until(repository.workers, "no worker started")
    _until(repository.stage_processes, "no stage started")
    for process in worker:
        process.kill()
    repository.dvc("queue", "kill", "killed")
    left = repository.processes()
    problems = [f"still computing after it was stopped: {left}"] if left else []
    if "killed" in repository.dvc("exp", "list", "--name-only").stdout:
        problems.append("half an experiment stands among the results")
    repository.dvc("queue", "remove", "--all")
    queue_variant(repository, "again")
    _until(repository.workers, "no second worker started")
    left = repository.processes(grace_s=LONGEST_RUN_S)
    if left or "again" not in repository.dvc("exp", "list", "--name-only").stdout:
        problems.append("queued again, it has no result")
    return Seen("stopped and queued again, it ended", problems)


def queue_variant(repository: Repository, name: str) -> None:
    """Queue an experiment of this name and start a worker for it."""
    repository.dvc("exp", "run", "--queue", "--name", name, "-S", "train.beta=0.2").check_returncode()
    # the worker inherits DVC's pipes: who reads them to their end waits for the experiment's
    unread = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    repository.dvc("queue", "start", **unread).check_returncode()


def _until(find: Callable[[], list[psutil.Process]], otherwise: str) -> list[psutil.Process]:
    """What `find` finds, waiting for it."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if found := find():
            return found
        time.sleep(0.1)
    raise CannotRunError(otherwise)


def _contents(outs: list[Path]) -> dict[Path, bytes]:
    files = [file for out in outs for file in ([out] if out.is_file() else out.rglob("*"))]
    return {file: file.read_bytes() for file in files if file.is_file() and not file.name.endswith(".tmp")}


def _limit_file_size(limit: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
