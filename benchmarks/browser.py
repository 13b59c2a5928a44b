"""A Chromium without a window, driven over a pipe by its own protocol, for measurements and for the tests."""

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
LONGEST = 60.0
"""Seconds that an answer may take."""
_TO_BROWSER, _FROM_BROWSER, _FREE = 3, 4, 20


def found_browser() -> str | None:
    """Find a Chromium on the path, or where Playwright keeps its own."""
    named = next(filter(None, map(shutil.which, NAMES)), None)
    kept = sorted(Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome"))
    return named or next(map(str, kept), None)


class Browser:
    """A Chromium with one tab.

    The protocol is that of its developer tools: https://chromedevtools.github.io/devtools-protocol/.

    Parameters
    ----------
    program : str
        See `found_browser`.
    profile : Path
        A folder of its own.
    """

    def __init__(self, program: str, profile: Path) -> None:
        # Chromium's own sandbox can't be set up by root, as in containers.
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as held:
            _hold_their_numbers(held)
            theirs_in, self._out = _pipe(ours)
            self._in, theirs_out = _pipe(ours)

            def take_pipes() -> None:
                os.dup2(theirs_in, _TO_BROWSER)
                os.dup2(theirs_out, _FROM_BROWSER)

            self._process = subprocess.Popen(
                [program, "--headless=new", *as_root, "--disable-gpu", "--no-first-run",
                 "--hide-scrollbars", f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                close_fds=False, preexec_fn=take_pipes,
            )  # fmt: skip
            ours.pop_all()
        os.close(theirs_in)
        os.close(theirs_out)
        self._number, self._rest, self._session = 0, b"", ""
        self._events: list[dict[str, Any]] = []
        (page,) = [t for t in self.ask("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        attached = self.ask("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Performance"):
            self.ask(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            os.close(self._out)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask for something by the protocol, and wait for the answer.

        Raises
        ------
        RuntimeError
            With what the browser says was wrong.
        """
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        rest = json.dumps(message).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._out, rest) :]
        for answer in self._messages():
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                found: dict[str, Any] = answer["result"]
                return found
            self._events.append(answer)
        raise AssertionError

    def open(self, address: str) -> None:
        """Open a page, and wait until it is loaded and its scripts have run once."""
        # Where only what stands behind the # is new, a page stays and may write its own there: it goes first.
        for place in ("about:blank", address):
            self._load(place)

    def _load(self, address: str) -> None:
        self._events.clear()
        self.ask("Page.navigate", url=address)
        if not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            for event in self._messages():
                if event.get("method") == "Page.loadEventFired":
                    break

    def value(self, expression: str) -> Any:
        """Evaluate a script in the page, whatever its policy is, and give its value; promises are awaited.

        Raises
        ------
        RuntimeError
            With what the script threw.
        """
        found = self.ask(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        if "exceptionDetails" in found:
            thrown = found["exceptionDetails"]
            raise RuntimeError(str(thrown.get("exception", {}).get("description", thrown["text"])))
        return found["result"].get("value")

    def show(self, wide: int, high: int = 900, *, dark: bool = False) -> None:
        """Set the size of the page in pixels, and its scheme; up to 500 pixels it is a phone's."""
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=wide, height=high, deviceScaleFactor=1,
            mobile=wide < 500,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])

    def metrics(self) -> dict[str, float]:
        """Give what the page took so far, such as ``TaskDuration`` and ``ScriptDuration`` in seconds."""
        return {m["name"]: m["value"] for m in self.ask("Performance.getMetrics")["metrics"]}

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Save the page as PNG, the whole of it or what fits the window."""
        found = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def _messages(self) -> Iterator[dict[str, Any]]:
        """Give what the browser sends, one after the other."""
        until = time.monotonic() + LONGEST
        while True:
            while b"\0" not in self._rest:
                ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
                more = os.read(self._in, 1 << 16) if ready else b""
                if not more:
                    raise RuntimeError("the browser doesn't answer" if not ready else "the browser has ended")
                self._rest += more
            message, _, self._rest = self._rest.partition(b"\0")
            found: dict[str, Any] = json.loads(message)
            yield found


def _hold_their_numbers(stack: contextlib.ExitStack) -> None:
    """Keep the numbers that Chromium takes from other files of this process, until it has started."""
    while (number := os.open(os.devnull, os.O_RDONLY)) <= _FROM_BROWSER:
        stack.callback(os.close, number)
    os.close(number)


def _pipe(stack: contextlib.ExitStack) -> tuple[int, int]:
    """Make a pipe beyond the numbers that Chromium takes; closed with the stack."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FREE))
        os.close(end)
        stack.callback(os.close, ends[-1])
    return ends[0], ends[1]
