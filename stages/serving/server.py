"""A server of one open study: one link an editor, a page to hand in on, and nothing else.

A link's token is a one-way hash of the study's secret, so the same links hold after a restart and no file
keeps them. The sealed page goes out byte for byte. What comes in is checked and stored as by `study collect`.
"""

import asyncio
import os
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from stages.errors import BluePencilError, StudyError
from stages.files.hashing import hex_digest
from stages.pages.html import render_page
from stages.run.params import Params
from stages.run.progress import say
from stages.study.collecting import SHORT_RECEIPT, take_ballot
from stages.study.folder import KEY, current_study_id, study_folder
from stages.study.seal import Commitment
from stages.study.secret import read_secret, secret_file
from stages.study.status import read_state

TOKEN_DIGITS = 32  # 128 bits
LARGEST_BALLOT = 4 * 1024 * 1024  # bytes; a hundred screens with a full note each are 300 kB
BASE_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
PAGE_POLICY = "frame-ancestors 'none'"  # on top of the page's own, which stays as it is sealed
FORM_POLICY = (
    f"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; {PAGE_POLICY}"
)
BEYOND = (
    "is not this machine's own (127.0.0.1): everybody who can reach it could open an editor's link, and who "
    "sits between can read and change what is sent, because it is not encrypted\n  put a server with TLS "
    "before it, or a tunnel such as `ssh -L`; where that is settled, say --beyond-this-machine"
)


class Served(NamedTuple):
    """An editor's page by token: its bytes are read once, when they are known to fit the seal."""

    editor: str
    page: bytes


def link_token(secret: bytes, study_id: str, editor: str) -> str:
    """128 bits that only the secret gives; it opens one editor's page of one study."""
    return hex_digest("link", secret.hex(), study_id, editor)[:TOKEN_DIGITS]


def serve_study(params: Params, host: str, port: int, *, beyond_this_machine: bool) -> None:
    """Serve the open study of the present texts until Ctrl+C; StudyError where that cannot be."""
    refuse_address(host, beyond_this_machine=beyond_this_machine)
    study_id = current_study_id()
    pages = pages_by_token(params, study_id)
    with open_socket(host, port) as listening:
        address = f"http://{host}:{listening.getsockname()[1]}"
        for token, served in pages.items():
            say(f"{served.editor}: {address}/{token}  hand in at {address}/{token}/hand-in")
        say("send each editor their own two links; Ctrl+C ends it, and the links hold when it runs again")
        asyncio.run(_run(make_app(study_id, pages, hosts=allowed_hosts(address, host)), listening))


def refuse_address(host: str, *, beyond_this_machine: bool) -> None:
    """StudyError for what is no IP address, or one beyond loopback that was not asked for."""
    try:
        is_own = ip_address(host).is_loopback
    except ValueError as error:
        raise StudyError(f"--host {host!r:.80}: no IP address, such as 127.0.0.1") from error
    if not is_own and not beyond_this_machine:
        raise StudyError(f"--host {host} {BEYOND}")


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket; StudyError where the port is taken or not ours to take."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StudyError(
            f"{host} port {port}: cannot be listened on ({reason}); name another with --port, or an address "
            "of this machine with --host"
        ) from error


def pages_by_token(params: Params, study_id: str) -> dict[str, Served]:
    """Every editor's sealed page; StudyError unless the study is open, sound and not revealed."""
    state = read_state(params, study_id)
    commitment = state.study.commitment
    if commitment is None:
        raise StudyError(f"{study_folder(study_id)}: no study is open; run `bluepencil study open` first")
    if state.problems:
        lines = "\n  ".join(state.problems)
        raise StudyError(f"{study_folder(study_id)}: files do not fit, so nothing is served\n  {lines}")
    if state.files.key is not None:
        raise StudyError(f"{study_folder(study_id) / KEY}: the key is revealed, so there is nothing to judge")
    return _by_token(read_secret(secret_file(params, study_id)), commitment, state.files.pages)


def _by_token(secret: bytes, commitment: Commitment, pages: Mapping[str, bytes]) -> dict[str, Served]:
    return {
        link_token(secret, commitment.study_id, editor): Served(editor, pages[sealed.file])
        for editor, sealed in commitment.pages.items()
    }


def allowed_hosts(address: str, host: str) -> set[str] | None:
    """What a browser may call this server: by any other name a web page could reach into it."""
    if not ip_address(host).is_loopback:
        return None
    port = address.rpartition(":")[2]
    return {f"{name}:{port}" for name in (host, f"[{host}]", "localhost")}


def make_app(study_id: str, pages: Mapping[str, Served], *, hosts: set[str] | None) -> web.Application:
    """Two addresses a token; whatever else is asked for does not exist."""

    def found(request: web.Request) -> Served:
        served = pages.get(request.match_info["token"])
        if served is None:
            raise web.HTTPNotFound
        return served

    async def show_ballot(request: web.Request) -> web.Response:
        served = found(request)
        headers = {"Content-Security-Policy": PAGE_POLICY, "Content-Type": "text/html; charset=utf-8"}
        return web.Response(body=served.page, headers=headers)

    async def show_form(request: web.Request) -> web.Response:
        return hand_in_page(found(request).editor)

    async def hand_in(request: web.Request) -> web.Response:
        served = found(request)
        origin = request.headers.get("Origin", f"http://{request.host}")
        if origin != f"http://{request.host}" and hosts is not None:
            raise web.HTTPForbidden
        form = await request.post()
        sent, receipt = form.get("ballot"), form.get("receipt", "")
        if not isinstance(sent, web.FileField) or not sent.filename or not isinstance(receipt, str):
            return hand_in_page(
                served.editor, problem="choose the file `ballot-....json` that your page saved"
            )
        if not receipt.strip():
            return hand_in_page(
                served.editor, problem="the receipt is missing: your page shows it when it is sealed"
            )
        data = sent.file.read()
        try:
            taken = await asyncio.to_thread(
                take_ballot,
                data,
                place=sent.filename,
                receipt=receipt,
                study_id=study_id,
                editor=served.editor,
            )
        except BluePencilError as error:
            return hand_in_page(served.editor, problem=str(error))
        say(
            f"{served.editor} has handed in {taken.target}; next: git add {taken.target.parent} && git commit"
        )
        return hand_in_page(served.editor, receipt=taken.sha256[:SHORT_RECEIPT])

    app = web.Application(middlewares=[_guard(hosts)], client_max_size=LARGEST_BALLOT)
    app.router.add_get("/{token:[0-9a-f]+}", show_ballot)
    app.router.add_get("/{token:[0-9a-f]+}/hand-in", show_form)
    app.router.add_post("/{token:[0-9a-f]+}/hand-in", hand_in)
    return app


def _guard(hosts: set[str] | None) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = (
                await handler(request) if hosts is None or request.host in hosts else web.Response(status=421)
            )
        except web.HTTPException as error:  # one answer to whatever is not there, whyever
            response = web.Response(status=error.status, text=f"{error.status}: {error.reason}\n")
        for name, value in BASE_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return guard


def hand_in_page(editor: str, *, problem: str = "", receipt: str = "") -> web.Response:
    """The form, with what was wrong; or that the ballot is here, with its receipt."""
    page = render_page("serving/hand_in.html.j2", editor=editor, problem=problem, receipt=receipt, links=())
    headers = {"Content-Security-Policy": FORM_POLICY, "Content-Type": "text/html; charset=utf-8"}
    headers["Referrer-Policy"] = (
        "same-origin"  # or the browser hides where the form was sent from, from us too
    )
    return web.Response(body=page.encode(), status=400 if problem else 200, headers=headers)


async def _run(app: web.Application, listening: socket.socket) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        await asyncio.Event().wait()
    except asyncio.CancelledError:  # Ctrl+C, by way of asyncio.run
        say("the server has ended")
    finally:
        await runner.cleanup()
