"""A DVC remote shares every result: over real servers on the loopback address, docs/sharing.md's commands."""

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import s3fs
import yaml

from stages.cli.remote import remote_settings
from stages.errors import InputError
from tests.support.remote_servers import KEY, SECRET, s3_server, ssh_server
from tests.support.tiny_repository import ROOT, CommandLine, git
from tests.support.whole_repository import BETA, COMMITTER, VARIANT, copy_whole_repository

BUCKET = "s3://team/blue-pencil"
NEWER = "newer"
POLICY = "models/policy/adapter_model.safetensors"


class Clone(CommandLine):
    """A repository and the command line in it, with S3 credentials in the environment."""

    longest_s = 300

    def __init__(self, root: Path) -> None:
        secrets = {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        super().__init__(root, **secrets, **COMMITTER)

    def dvc(self, *arguments: str) -> str:
        done = self.run("dvc", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kill_when(self, reached: Callable[[], bool], *arguments: str) -> None:
        """SIGKILL to a DVC command and its children as soon as `reached`."""
        process = self.start("dvc", *arguments)
        while process.poll() is None and not reached():
            time.sleep(0.001)
        assert process.poll() is None, "it ended before it could be interrupted"
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=self.longest_s)

    def set_remote(self, *arguments: str) -> None:
        done = self.run("stages", "remote", *arguments)
        assert done.returncode == 0, done.stderr
        if "--local" not in arguments:
            git(self.root, "commit", "-q", "-a", "-m", "A remote")

    def objects(self) -> set[str]:
        """Hashes of what lies in the cache."""
        return objects(self.root / ".dvc/cache")


def objects(store: Path) -> set[str]:
    """Hashes of the objects that are whole in a cache or a remote: temporary names are longer."""
    found = ("".join(path.parts[-2:]) for path in (store / "files/md5").glob("??/*"))
    return {name for name in found if len(name.removesuffix(".dir")) == 32}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator["World"]:
    """Everything shared once: a push that was killed and repeated, and the variants."""
    folder = tmp_path_factory.mktemp("sharing")
    (folder / "buckets/team").mkdir(parents=True)
    owner = Clone(copy_whole_repository(tmp_path_factory, folder / "owner"))
    with s3_server(folder / "buckets") as endpoint:
        owner.set_remote(BUCKET, "--endpoint-url", endpoint)
        yield World(folder, owner, endpoint)


class World:
    """The owner's repository and the bucket it shares."""

    def __init__(self, folder: Path, owner: Clone, endpoint: str) -> None:
        self.folder = folder
        self.owner = owner
        self.endpoint = endpoint
        self.bucket = folder / "buckets/team/blue-pencil"

    def clone(self, name: str) -> Clone:
        """A colleague's clone."""
        git(self.folder, "clone", "-q", str(self.owner.root), name)
        return Clone(self.folder / name)


def n_of(output: str, words: str) -> int:
    """The number that DVC prints before `words`, e.g. `46 files pushed`."""
    line = next(line for line in output.splitlines() if words in line)
    return int(line.split(f" {words}")[0].split()[-2])


# The first one needs an empty bucket; the others push what they need and may run on other workers.


@pytest.mark.slow
def test_an_interrupted_push_goes_on(world: World) -> None:
    world.owner.kill_when(lambda: len(objects(world.bucket)) > 2, "push", "--jobs", "1")
    there = objects(world.bucket)
    pushed = n_of(world.owner.dvc("push"), "pushed")
    missing = len(objects(world.bucket) - there)
    assert there
    assert missing <= pushed <= missing + 1  # one may have been half-written
    assert world.owner.dvc("status", "--cloud").strip() == "Cache and remote 'team' are in sync."


@pytest.mark.slow
def test_an_interrupted_pull_goes_on_and_nothing_runs_again(world: World) -> None:
    world.owner.dvc("push")
    colleague = world.clone("interrupted")
    colleague.kill_when(lambda: len(colleague.objects()) > 2, "pull", "--jobs", "1")
    there = colleague.objects()
    fetched = n_of(colleague.dvc("pull"), "fetched")
    missing = len(colleague.objects() - there)
    assert there
    assert missing <= fetched <= missing + 1
    assert "Running stage" not in colleague.dvc("repro")
    assert git(colleague.root, "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_colleague_gets_every_variant_and_nothing_runs_again(world: World) -> None:
    """One that ran after the remote was set up and one that is older, whose commit knows of no remote."""
    world.owner.dvc("exp", "run", "--name", NEWER, "--set-param", "study.plan.minutes_per_screen=3.0")
    git(world.folder, "clone", "-q", "--bare", str(world.owner.root), "origin.git")
    git(world.owner.root, "remote", "add", "origin", "../origin.git")
    world.owner.set_remote(BUCKET, "--endpoint-url", world.endpoint, "--local")
    world.owner.dvc("exp", "push", "origin", NEWER, VARIANT)

    git(world.folder, "clone", "-q", "origin.git", "colleague")
    colleague = Clone(world.folder / "colleague")
    colleague.dvc("exp", "pull", "origin", NEWER)
    colleague.dvc("exp", "apply", NEWER)
    assert "Running stage" not in colleague.dvc("repro")
    policy = (colleague.root / POLICY).read_bytes()
    git(colleague.root, "checkout", "-q", ".")

    colleague.set_remote(BUCKET, "--endpoint-url", world.endpoint, "--local")
    colleague.dvc("exp", "pull", "origin", VARIANT)
    colleague.dvc("exp", "apply", VARIANT)
    assert "Running stage" not in colleague.dvc("repro")
    assert yaml.safe_load((colleague.root / "params.yaml").read_text())["train"]["beta"] == BETA
    assert (colleague.root / POLICY).read_bytes() != policy == (world.owner.root / POLICY).read_bytes()


@pytest.mark.slow
def test_a_damaged_object_is_named_and_used_for_nothing(world: World) -> None:
    world.owner.dvc("push")
    pairs = "data/validate/pairs.jsonl"
    lock = yaml.safe_load((world.owner.root / "dvc.lock").read_text())
    md5 = next(out["md5"] for out in lock["stages"]["validate"]["outs"] if out["path"] == pairs)
    key = f"{BUCKET}/files/md5/{md5[:2]}/{md5[2:]}"
    bucket = s3fs.S3FileSystem(key=KEY, secret=SECRET, endpoint_url=world.endpoint)
    whole = bucket.cat_file(key)
    bucket.pipe_file(key, whole.replace(b"e", b"a", 1))

    colleague = world.clone("damaged")
    refused = colleague.run("dvc", "pull", "--verbose", pairs)
    assert refused.returncode != 0
    assert (
        f"corrupted cache file '{colleague.root}/.dvc/cache/files/md5/{md5[:2]}/{md5[2:]}'" in refused.stdout
    )
    assert pairs in refused.stderr
    assert not (colleague.root / pairs).exists()
    assert md5 not in colleague.objects()

    bucket.rm_file(key)
    world.owner.dvc("push", pairs)
    assert bucket.cat_file(key) == whole
    colleague.dvc("pull", pairs)
    assert (colleague.root / pairs).read_bytes() == whole


@pytest.mark.parametrize("kind", ["folder", pytest.param("ssh", marks=pytest.mark.slow)])
def test_a_folder_and_a_machine_behind_ssh_share_as_well(kind: str, tmp_path: Path) -> None:
    (tmp_path / "owner").mkdir()
    owner = Clone(tmp_path / "owner")
    owner.environment["PYTHONPATH"] = str(ROOT)
    git(owner.root, "init", "-q")
    owner.dvc("init", "--quiet")
    shared = tmp_path / "shared"
    written = owner.root / "notes.txt"
    written.write_text("The results of a run.\n")
    with ssh_server(tmp_path) as port:
        owner.set_remote(str(shared) if kind == "folder" else f"ssh://editor@127.0.0.1:{port}{shared}")
        if kind == "ssh":
            owner.dvc("remote", "modify", "--local", "team", "password", SECRET)
        owner.dvc("add", written.name)
        assert n_of(owner.dvc("push", written.name), "pushed") == 1
        assert len(objects(shared)) == 1
        written.unlink()
        shutil.rmtree(owner.root / ".dvc/cache")
        owner.dvc("pull", written.name)
    assert written.read_text() == "The results of a run.\n"


@pytest.mark.parametrize(
    ("url", "endpoint_url", "message"),
    [
        ("ssh://anna:secret@example.org/x", None, "has a password in it"),
        ("s3://bucket/x", "https://key:secret@example.org", "has a password in it"),
        ("", None, "the URL is empty"),
        ("/srv/shared", "https://example.org", "only s3:// URLs have one"),
    ],
)
def test_what_cannot_be_a_remote_is_refused(url: str, endpoint_url: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        remote_settings(url, endpoint_url)
