"""The page on which experts rank hypotheses, served on 127.0.0.1 only. Extra ``web``.

What a browser gets is one page, its scripts and its style, and JSON; nothing is asked of any other server. A link's
token is exchanged once for a cookie (``ranking_door.py``); every other request gets an empty 403, the same for a wrong
token and for a run that does not exist. Where a hypothesis came from is sent only after its sheet was ranked.

A draft is saved after each change. Each save names the state that it was made from, and is refused (409, with the state
that there is now) if another window changed it since; so two windows of one expert cannot write over each other
unseen. Finished rankings are answered after they were committed, not before.

Left out: TLS and a server for the network. Who wants the page elsewhere forwards the port, e.g. with ``ssh -L``.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from hunch.memory.errors import InputError, StorageError
from hunch.memory.expertise import Sheet
from hunch.memory.rankings import Rankings
from hunch.memory.values import Record, digest
from hunch.views.progress import plain
from hunch.views.ranking_door import TOKEN_SECONDS, Door, welcome
from hunch.views.ranking_draft import Draft, check, drafted, finished, is_ranked, ranked_by, shown_order

try:
    import uvicorn
    from starlette.background import BackgroundTask
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response
    from starlette.types import Receive, Scope, Send
except ImportError as error:
    raise InputError(
        "starlette or uvicorn is not installed, but the ranking page needs them; run pip install 'hunch-agent[web]', "
        "or rank in the terminal."
    ) from error

COOKIE = "hunch-ranking"
MOST_BYTES = 256 * 1024
"""A request may bring so much; twenty cards by two criteria are two kilobytes."""
SCRIPTS = ("ranking.js", "ranking_cards.js", "ranking_dom.js", "ranking_drag.js", "ranking_list.js")
STATIC = {
    "": ("ranking.html", "text/html"),
    "ranking.css": ("ranking.css", "text/css"),
    **{name: (name, "text/javascript") for name in SCRIPTS},
}
"""What is served as it lies beside this file."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# The page goes on by itself, not by a redirect: a SameSite cookie is not sent where a link from elsewhere led.
ENTRANCE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=./">'
    '<title>hunch</title><p><a href="./">To the ranking page</a>'
)
CLOSED = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<title>hunch: this link is not good any more</title><h1>This link {state}.</h1><p>Each link opens the ranking "
    "page once. In the browser that used it, the page's own address still works. For a new link, press Enter in the "
    "terminal where <code>hunch rank</code> runs, or stop it and start it again. What was ranked before is kept."
)


class Sent(Record):
    """What the page sends when it saves."""

    expert: str
    """Whose page it is: one browser has one cookie, and another expert may have come in with his link since."""
    base: str = ""
    """The state it was made from, as the server called it."""
    draft: Draft


class RankingPage:
    """The page as an ASGI application."""

    def __init__(
        self,
        rankings: Rankings,
        run_id: str,
        door: Door,
        *,
        port: int,
        on_ranked: Callable[[Sheet], None] | None = None,
    ) -> None:
        """Show the sheets of ``rankings`` to those whom ``door`` lets in, at ``/r/<run_id>/`` of ``port``.

        ``on_ranked`` is called, in a thread of the server, after an expert's rankings of a sheet were committed.
        """
        self._rankings = rankings
        self._root = f"/r/{run_id}/"
        self._door = door
        self._port = port
        self._on_ranked = on_ranked
        self._lock = threading.Lock()
        self._static = {
            path: (Path(__file__).with_name(name).read_text("utf-8"), kind) for path, (name, kind) in STATIC.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        try:
            response = await self._answer(Request(scope, receive))
        except ClientDisconnect:  # a window closed in the middle of what it sent
            return
        except StorageError as error:
            response = _refused(503, f"{error}")
        response.headers.update(HEADERS)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path, token = str(request.scope["path"]), request.query_params.get("token")
        headers: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            headers.setdefault(name, []).append(value)
        by_link = path == self._root and token is not None and request.method == "GET"
        changes = request.method == "POST"
        if not welcome(headers, self._port, changes=changes, by_link=by_link):
            return Response(status_code=403)
        expert = self._door.expert(request.cookies.get(COOKIE, ""))
        if by_link:
            return self._enter(str(token), expert, ahead="sec-purpose" in headers or "purpose" in headers)
        if expert is None or not path.startswith(self._root) or request.method not in ("GET", "POST"):
            return Response(status_code=403)
        name, parts = path[len(self._root) :], path[len(self._root) :].split("/")
        if not changes and name in self._static:
            text, kind = self._static[name]
            return Response(text, media_type=kind)
        if not changes and name == "sheets":
            return JSONResponse(await run_in_threadpool(self._overview, expert))
        wanted = ("draft", "rankings") if changes else ("",)
        if parts[0] != "sheets" or len(parts) != 3 or parts[2] not in wanted:
            return Response(status_code=404)
        sheets = await run_in_threadpool(self._rankings.sheets, [parts[1]])
        if not sheets:
            return Response(status_code=404)
        if not changes:
            return JSONResponse(await run_in_threadpool(self._view, sheets[0], expert))
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refused(415, "what is sent must be application/json.")
        if (body := await _body(request)) is None:
            return _refused(413, f"more than {MOST_BYTES} bytes were sent; send less.")
        return await run_in_threadpool(self._take, sheets[0], expert, body, finish=parts[2] == "rankings")

    def _enter(self, token: str, known: str | None, *, ahead: bool) -> Response:
        """Let in who opens a link; what only fetches it ahead of time does not spend it."""
        entry = None if ahead else self._door.exchange(token)
        if entry is None:
            return Response(status_code=403)
        if entry.state == "good":
            response = Response(ENTRANCE, media_type="text/html")
            response.set_cookie(COOKIE, entry.session, path=self._root, httponly=True, samesite="strict")
            return response
        if entry.expert == known:
            return Response(ENTRANCE, media_type="text/html")
        state = "was used" if entry.state == "spent" else "is too old"
        return Response(CLOSED.format(state=state), media_type="text/html", status_code=410)

    # What is sent

    def _overview(self, expert: str) -> dict[str, Any]:
        done: dict[str, set[str]] = {}
        for one in self._rankings.all():
            if one.expert == expert:
                done.setdefault(one.sheet_id, set()).add(one.criterion)
        return {
            "expert": expert,
            "sheets": [
                {"id": sheet.id, "field": sheet.field, "ranked": done.get(sheet.id, set()) >= set(sheet.criteria)}
                for sheet in self._rankings.sheets()
            ],
        }

    def _view(self, sheet: Sheet, expert: str) -> dict[str, Any]:
        """Return what the page may know of a sheet; where its cards came from, only if the expert has ranked it."""
        by, draft = ranked_by(self._rankings, sheet, expert), drafted(self._rankings, sheet, expert)
        cards, ranked = {card.key: card for card in sheet.cards}, is_ranked(sheet, by)
        hidden = {"chosen", "strength", "novelty", "weights_version", "made"}
        return {
            "expert": expert,
            "id": sheet.id,
            "field": sheet.field,
            "question": sheet.question,
            "criteria": sheet.criteria,
            "cards": [
                cards[key].model_dump(mode="json", include={"key", "text", "evidence"} | (hidden if ranked else set()))
                for key in shown_order(sheet, expert)
            ],
            "ranked": ranked,
            "draft": None if draft is None else draft.model_dump(mode="json"),
            "rankings": [
                by[criterion].model_dump(mode="json", include={"criterion", "order", "unjudged", "accepted", "seconds"})
                for criterion in sheet.criteria
                if criterion in by
            ],
            "base": self._state(sheet, expert),
        }

    def _state(self, sheet: Sheet, expert: str) -> str:
        """Return what a save must name: the draft and the rankings as they are."""
        ids = sorted(one.id for one in ranked_by(self._rankings, sheet, expert).values())
        return digest(self._rankings.draft(sheet.id, expert) or "", *ids)

    # What is taken

    def _take(self, sheet: Sheet, expert: str, body: bytes, *, finish: bool) -> Response:
        """Keep what was sent as a draft or as rankings, if it is sound and made from the newest state."""
        try:
            sent = Sent.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            return _refused(422, f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}")
        if sent.expert != expert:
            return Response(status_code=403)
        with self._lock:
            last = drafted(self._rankings, sheet, expert)
            own = last is not None and last.tab == sent.draft.tab != "" and last.number < sent.draft.number
            if not own and sent.base != self._state(sheet, expert):
                return JSONResponse(self._view(sheet, expert), status_code=409)
            try:
                if not finish:
                    check(sent.draft, sheet)
                    self._rankings.save_draft(sheet.id, expert, sent.draft.model_dump_json())
                    return JSONResponse({"base": self._state(sheet, expert)})
                self._rankings.add(finished(sent.draft, sheet, expert, "page"))
            except InputError as error:
                return _refused(422, str(error))
            done = BackgroundTask(self._on_ranked, sheet) if self._on_ranked else None
            return JSONResponse(self._view(sheet, expert), background=done)


def _refused(status: int, reason: str) -> Response:
    return JSONResponse({"reason": plain(reason)}, status_code=status)


async def _body(request: Request) -> bytes | None:
    """Return what a request brings; None if that is too much."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


class RankingServer:
    """Serves the page from a thread while its block runs; each expert has a link of his own in ``links``."""

    def __init__(
        self,
        rankings: Rankings,
        run_id: str,
        experts: Sequence[str],
        *,
        port: int = 0,
        on_ranked: Callable[[Sheet], None] | None = None,
        token_seconds: float = TOKEN_SECONDS,
    ) -> None:
        """Prepare to show the sheets that are, or come to be, in the ledger.

        Args:
            rankings: where sheets are read and rankings written; its ledger is shared with the rest of the program.
            run_id: names the run in the address; the ledger's ``identity``.
            experts: the names they go by, each once.
            port: where to listen on 127.0.0.1; 0 takes one that is free.
            on_ranked: called, in a thread of the server, after an expert's rankings of a sheet were committed.
            token_seconds: how long a link that was not used is good.

        Raises:
            InputError: if no expert is named, or one twice.
        """
        names = [name.strip() for name in experts]
        if not names or not all(names) or len(set(names)) < len(names):
            raise InputError(f"experts is {list(experts)}, but each needs a name of his own; give at least one.")
        self.experts = tuple(names)
        self.links: dict[str, str] = {}
        """By expert; each opens the page once. Empty until the server listens."""
        self._rankings, self._run_id, self._asked_port, self._on_ranked = rankings, run_id, port, on_ranked
        self._door = Door(token_seconds=token_seconds)

    def __enter__(self) -> Self:
        """Listen.

        Raises:
            InputError: if the port is taken.
        """
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a killed server's port is free at once
        try:
            self._socket.bind(("127.0.0.1", self._asked_port))
            self._socket.listen(128)  # who comes before the thread is ready waits
        except (OSError, OverflowError) as error:
            self._socket.close()
            raise InputError(
                f"port is {self._asked_port}, but it cannot be listened on ({error}); give another, or 0 for any."
            ) from error
        self.port = int(self._socket.getsockname()[1])
        page = RankingPage(self._rankings, self._run_id, self._door, port=self.port, on_ranked=self._on_ranked)
        quiet: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False, "lifespan": "off"}
        config = uvicorn.Config(page, http="h11", ws="none", loop="asyncio", timeout_graceful_shutdown=2, **quiet)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="hunch-ranking", daemon=True
        )
        for expert in self.experts:
            self.renew(expert)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening, after what was begun is answered."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self.links.clear()

    def renew(self, expert: str) -> str:
        """Return a new link of an expert; one that he did not use is good no more, a page that he has open stays."""
        self.links[expert] = f"http://127.0.0.1:{self.port}/r/{self._run_id}/?token={self._door.token(expert)}"
        return self.links[expert]
