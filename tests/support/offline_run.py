"""Run every stage of a repository in one process that may not reach a network: `python -m tests.support.offline_run`.

The working directory is the repository. Any look-up or connection beyond this machine's own file
system ends the process with exit code 97 and the words "network touched".
"""

import os
import runpy
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import yaml

FORBIDDEN = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
TOUCHED = 97


def refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook. Sockets of the file system (their address is a path) are this machine's own."""
    if event in FORBIDDEN and not (len(arguments) > 1 and isinstance(arguments[1], str | bytes)):
        print(f"network touched: {event} {arguments[1:]}", file=sys.stderr, flush=True)
        os._exit(TOUCHED)  # an exception could be caught by the library that tries


def commands() -> Iterator[list[str]]:
    """The stages' commands in the order of dvc.yaml, as arguments of `python -m`."""
    for stage in yaml.safe_load(Path("dvc.yaml").read_text())["stages"].values():
        words = stage["cmd"].removeprefix("python -m ").split()
        models = stage.get("matrix", {}).get("model", [""])
        yield from ([word.replace("${item.model}", model) for word in words] for model in models)


def run_stages(wanted: Callable[[list[str]], bool] = lambda _: True) -> None:
    """Run the stages whose command is wanted, all in this process."""
    for command in filter(wanted, commands()):
        run_module(*command)


def run_module(module: str, *arguments: str) -> None:
    """What `python -m` does."""
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    print(f"ran: {' '.join([module, *arguments])}", flush=True)


def main() -> None:
    """Run them all, then DVC."""
    sys.addaudithook(refuse_network)
    run_stages()
    run_module("dvc", "status")


if __name__ == "__main__":
    main()
