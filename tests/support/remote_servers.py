"""Real servers for a DVC remote, on the loopback address: S3 (rclone over a folder) and SSH (asyncssh)."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEY, SECRET = "blue", "pencil-secret"
LONGEST_START_S = 60


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """The endpoint of an S3 server that keeps each bucket in a folder of `folder` and knows one key."""
    rclone = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    assert rclone, "rclone is not installed; `make venv` installs it from requirements.lock"
    port = free_port()
    command = [
        rclone,
        "serve",
        "s3",
        str(folder),
        "--addr",
        f"127.0.0.1:{port}",
        "--auth-key",
        f"{KEY},{SECRET}",
    ]
    with _server([*command, "--config", os.devnull, "--vfs-cache-mode", "off"], port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def ssh_server(folder: Path) -> Iterator[int]:
    """The port of an SSH server with SFTP that takes any user with the password SECRET; `folder` has its key."""
    port = free_port()
    with _server(
        [sys.executable, "-m", "tests.support.remote_servers", str(port), str(folder / "host_key")], port
    ):
        yield port


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _server(command: list[str], port: int) -> Iterator[None]:
    root = Path(__file__).parent.parent.parent
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_it_listens(process, port)
        yield
    finally:
        process.kill()
        process.wait()


def _wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int) -> None:
    until = time.monotonic() + LONGEST_START_S
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"no server on port {port}: {process.args}")


async def serve_ssh(port: int, host_key: Path) -> None:
    """Serve until killed."""
    import asyncssh

    class OnePassword(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return password == SECRET

    asyncssh.generate_private_key("ssh-ed25519").write_private_key(host_key)
    await asyncssh.listen(
        "127.0.0.1", port, server_factory=OnePassword, server_host_keys=[host_key], sftp_factory=True
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve_ssh(int(sys.argv[1]), Path(sys.argv[2])))
