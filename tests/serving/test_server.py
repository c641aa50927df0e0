"""`study serve` as its editors meet it: three browsers at once, and those who have no business there."""

import hashlib
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stages.cli.study import reveal as revealing
from stages.cli.study.app import app
from stages.errors import StudyError
from stages.files.io import locked_folder
from stages.run.params import load_params
from stages.serving.server import open_socket, pages_by_token, refuse_address
from stages.study.folder import ballots_folder, page_file, read_receipts, study_folder
from tests.support.served_study import Served, serve_made_up_study
from tests.support.study_factory import answer_page, prefers


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    with serve_made_up_study(tmp_path, monkeypatch) as served:
        yield served


def fetch(url: str, data: bytes | None = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read(), dict(error.headers)


def send(link: str, ballot: bytes, receipt: str, **headers: str) -> tuple[int, str]:
    mark = "----form"
    part = f"--{mark}\r\nContent-Disposition: form-data; name="
    body = f'{part}"receipt"\r\n\r\n{receipt}\r\n{part}"ballot"; filename="b.json"\r\n\r\n'.encode() + ballot
    body += f"\r\n--{mark}--\r\n".encode()
    status, page, _ = fetch(
        f"{link}/hand-in", body, **{"Content-Type": f"multipart/form-data; boundary={mark}", **headers}
    )
    return status, page.decode()


def ballot_of(study_id: str, editor: str) -> tuple[bytes, str]:
    data = answer_page(study_folder(study_id) / page_file(editor), prefers("POLICYTEXT"))
    return data, hashlib.sha256(data).hexdigest()


def test_the_sealed_page_goes_out_byte_for_byte_and_ballots_come_in_with_their_receipts(
    served: Served,
) -> None:
    assert sorted(served.links) == ["editor-1", "editor-2", "editor-3"]
    for editor, link in served.links.items():
        sealed = (study_folder(served.study_id) / page_file(editor)).read_bytes()
        for _ in range(2):  # a link opened twice shows the same
            status, page, headers = fetch(link)
            assert (status, page) == (200, sealed)
        assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"  # beside the page's own
        assert headers["Cache-Control"] == "no-store"
        data, receipt = ballot_of(served.study_id, editor)
        status, said = send(link, data, receipt[:20])
        assert (status, receipt[:20] in said) == (200, True)
        assert send(link, data, receipt[:20])[0] == 200  # sent twice: nothing changes
        assert (ballots_folder(served.study_id) / f"{editor}.json").read_bytes() == data
    assert len(read_receipts(served.study_id)) == 3


def test_tokens_that_are_guessed_or_swapped_open_nothing_and_nothing_else_is_served(served: Served) -> None:
    link = served.links["editor-1"]
    top = link.rpartition("/")[0]
    guesses = [
        "",
        "0" * 32,
        link[-32:][:-1],
        link[-32:] + "0",
        "study",
        "metrics/gate.json",
        f"../{paths_up()}",
    ]
    guesses += [f"{link[-32:]}/key.json", f"{link[-32:]}/hand-in/..%2f..%2fparams.yaml", "favicon.ico"]
    for guess in guesses:
        status, said, _ = fetch(f"{top}/{guess}")
        assert (status, len(said) < 40) == (404, True), guess
    assert fetch(link, b"", **{"Content-Type": "text/plain"})[0] == 405
    assert fetch(link, Host="evil.example")[0] == 421  # a web page that has its name lead here
    data, receipt = ballot_of(served.study_id, "editor-2")
    status, said = send(link, data, receipt)
    assert (status, "is a ballot of editor-2, and this is the link of editor-1" in said) == (400, True)
    assert send(link, data, receipt, Origin="http://evil.example")[0] == 403
    mine, _ = ballot_of(served.study_id, "editor-1")
    for ballot, number, problem in [
        (mine, receipt, "SHA-256"),
        (mine, "", "receipt is missing"),
        (b"", receipt, "is empty"),
        (b"{" * 100, receipt, "cut off or no JSON"),
        (b"<!doctype html>", receipt, "is the page itself"),
    ]:
        status, said = send(link, ballot, number)
        assert (status, problem in said) == (400, True), problem
    assert send(link, b"0" * 5_000_000, receipt)[0] == 413
    assert not list(ballots_folder(served.study_id).glob("*.json"))


def paths_up() -> str:
    return "/".join([".."] * 8) + "/etc/passwd"


def test_a_ballot_sent_while_the_custodian_reveals_waits_and_is_refused_by_name(served: Served) -> None:
    for editor in ("editor-1", "editor-2"):
        assert send(served.links[editor], *ballot_of(served.study_id, editor))[0] == 200
    late, answers = ballot_of(served.study_id, "editor-3"), []
    sender = threading.Thread(target=lambda: answers.append(send(served.links["editor-3"], *late)))
    with locked_folder(study_folder(served.study_id)):  # as `study reveal` holds it
        sender.start()
        sender.join(0.5)
        assert sender.is_alive()
        revealing._reveal(load_params(), served.study_id, "ill")
    sender.join(60)
    status, said = answers[0]
    assert (status, "the key is revealed" in said) == (400, True)
    assert sorted(path.name for path in ballots_folder(served.study_id).glob("*.json")) == [
        "editor-1.json", "editor-2.json", "receipts.json",
    ]  # fmt: skip
    assert CliRunner().invoke(app, ["verify"], catch_exceptions=False).exit_code == 0


def test_links_hold_after_a_restart_and_differ_by_study(served: Served) -> None:
    params = load_params()
    again = pages_by_token(params, served.study_id)
    assert {page.editor: token for token, page in again.items()} == {
        editor: link[-32:] for editor, link in served.links.items()
    }
    assert len({link[-32:] for link in served.links.values()}) == 3
    secret = next(Path(params.study.secret_path).iterdir()).read_text().strip()
    assert all(secret[:8] not in link for link in served.links.values())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20", "::"])
def test_an_address_beyond_this_machine_asks_for_a_flag_and_says_what_it_means(host: str) -> None:
    with pytest.raises(StudyError, match="(?s)everybody who can reach it.*--beyond-this-machine") as caught:
        refuse_address(host, beyond_this_machine=False)
    assert "not encrypted" in str(caught.value)
    refuse_address(host, beyond_this_machine=True)
    refuse_address("127.0.0.1", beyond_this_machine=False)


def test_what_is_no_address_and_a_taken_port_are_named() -> None:
    with pytest.raises(StudyError, match="no IP address"):
        refuse_address("<b>host</b>", beyond_this_machine=True)
    with open_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StudyError, match=f"port {port}: cannot be listened on .*--port"):
            open_socket("127.0.0.1", port)
