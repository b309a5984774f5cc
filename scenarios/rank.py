"""``hunch rank``: experts rank the hypotheses of a run, on a page or in the terminal."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import threading
import time
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hunch.memory.errors import InputError
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.scenarios.options import Parser, ledger_file
from hunch.views.progress import plain

if TYPE_CHECKING:  # loading the page needs the extra `web`, ranking in the terminal does not
    from hunch.views.ranking import RankingServer

ABOUT = """\
Let experts rank the hypotheses of a run: on a page that is served on this machine only, or in the terminal.

RUN is a run's folder, or a ledger (.sqlite). Each link opens the page once, and the same browser may reload it. What is
ranked is saved as it is done, and the same command goes on where it was left. One process writes to a ledger at a time:
while a run that asks its experts itself is at work, use the links that it prints.
"""
EXAMPLES = """\
examples:
  hunch rank runs/demo                               one expert; the page opens in the browser
  hunch rank runs/demo --expert Ada --expert Bo      a link for each
  hunch rank runs/demo --port 8123 --no-browser      for `ssh -L 8123:127.0.0.1:8123` from elsewhere
  hunch rank runs/demo --terminal --expert Ada       without a browser
"""
NAMELESS = "expert"
"""The name of who gives none."""
LONGEST_NAME = 80


def main(words: Sequence[str]) -> int:
    """Ask experts until they are done, or until Ctrl-C; return the exit code.

    Raises:
        InputError: for a folder without a ledger, one in which nothing is to be ranked, an unknown option.
    """
    given = _parser().parse_args(list(words))
    experts = [plain(name).strip() for name in given.expert or [NAMELESS]]
    if long := [name for name in experts if not 0 < len(name) <= LONGEST_NAME]:
        raise InputError(f"--expert is {long[0]!r}, but a name has 1 to {LONGEST_NAME} letters; give another.")
    if given.terminal and len(experts) > 1:
        raise InputError(f"--expert is given {len(experts)} times, but one person sits at a terminal; give one.")
    file = ledger_file(given.run)
    with Ledger(file) as ledger:
        rankings = Rankings(ledger)
        if not rankings.sheets():
            raise InputError(
                f"RUN is {given.run}, but it holds no sheet to rank; run a scenario that asks experts, in that folder."
            )
        if given.terminal:
            _in_terminal(rankings, experts[0])
        else:
            _on_page(rankings, str(ledger.identity), experts, port=given.port, browser=not given.no_browser)
    return 0


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(prog="hunch rank", description=ABOUT, epilog=EXAMPLES, formatter_class=raw, allow_abbrev=False)
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or a ledger")
    parser.add_argument("--expert", action="append", metavar="NAME", help="who ranks; may be given several times")
    parser.add_argument("--port", type=_port, default=0, help="on 127.0.0.1; any that is free unless given")
    parser.add_argument("--terminal", action="store_true", help="ask here instead of on a page")
    parser.add_argument("--no-browser", action="store_true", help="print links only; open no browser")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"it is {text!r}, but a port is a number from 0 to 65535")
    return int(text)


def _in_terminal(rankings: Rankings, expert: str) -> None:
    from hunch.views.ranking_terminal import TerminalRanking

    with contextlib.suppress(ImportError):  # not on every system
        import readline  # noqa: F401  # so that the line before can be called back and mended
    width = min(shutil.get_terminal_size().columns, 100)
    TerminalRanking(rankings, expert, ask=input, say=print, width=width).run()


def _on_page(rankings: Rankings, run_id: str, experts: Sequence[str], *, port: int, browser: bool) -> None:
    from hunch.views.ranking import RankingServer

    with RankingServer(rankings, run_id, experts, port=port) as server:
        _tell(server)
        attended = sys.stdin is not None and sys.stdin.isatty()
        if browser and attended and len(experts) == 1:
            webbrowser.open(server.links[server.experts[0]])
        if attended:
            print("Each link works once. Enter prints new ones; Ctrl-C ends it.", flush=True)
            threading.Thread(target=_renewing, args=(server,), daemon=True).start()
        else:
            print("Each link works once. To end it, interrupt this process.", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print(f"\nstopped; {_count(rankings)} are in the ledger, and drafts too.")


def _renewing(server: RankingServer) -> None:
    """Print new links whenever the person at the terminal presses Enter."""
    for _ in sys.stdin:
        for expert in server.experts:
            server.renew(expert)
        _tell(server)


def _tell(server: RankingServer) -> None:
    width = max(map(len, server.links))
    for expert, link in server.links.items():
        print(f"  {expert:<{width}}  {link}", flush=True)


def _count(rankings: Rankings) -> str:
    found = len(rankings.all())
    return f"{found:,} ranking{'s' * (found != 1)}"
