"""Chromium without a window, driven over its DevTools protocol: enough to press keys, read the page and look at it."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
    "--window-size=1360,860",
)
NAMED_KEYS = {"Enter": ("\r", 13), "Escape": ("", 27), "ArrowDown": ("", 40)}
"""Text and Windows key code, by which Chromium knows keys such as the one that closes a dialog."""


class PageIsGoneError(AssertionError):
    """The page was left while it was asked."""


class Browser:
    """One page of one browser. `with Browser(tmp_path) as page:`"""

    def __init__(self, folder: Path, *, timeout_s: float = 30) -> None:
        """`folder` is new and takes the browser's profile."""
        assert CHROMIUM is not None
        self.timeout_s = timeout_s
        self.problems: list[str] = []
        """Errors of the page's scripts and of its content security policy."""
        self._numbers = itertools.count(1)
        self._opened = contextlib.ExitStack()
        self._process = subprocess.Popen(
            [CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            port_file = folder / "DevToolsActivePort"
            self._until(lambda: port_file.is_file() and port_file.read_text().count("\n"), "Chromium to start")
            port = port_file.read_text().split("\n")[0]
            self._until(lambda: self._pages(port), "Chromium's first page")
            address = self._pages(port)[0]["webSocketDebuggerUrl"]
            self._socket = self._opened.enter_context(connect(address, max_size=None))
            for domain in ("Page", "Runtime", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self._stop()
            raise

    @staticmethod
    def _pages(port: str) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
            return [target for target in json.load(answer) if target["type"] == "page"]

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        self._opened.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def call(self, method: str, **values: Any) -> dict[str, Any]:
        """A command of the protocol; events that come meanwhile are looked through for errors."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": values}))
        while True:
            message = json.loads(self._socket.recv(timeout=self.timeout_s))
            if message.get("method") == "Runtime.exceptionThrown":
                self.problems.append(str(message["params"]["exceptionDetails"]))
            elif message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.problems.append(message["params"]["entry"]["text"])
            elif message.get("id") == number:
                if "navigated" in message.get("error", {}).get("message", ""):
                    raise PageIsGoneError(message)
                assert "error" not in message, message
                return message["result"]

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, script: str) -> Any:
        """Wait until an expression is true."""
        return self._until(lambda: self.evaluate(f"Boolean({script})"), script)

    def _until(self, condition: Any, what: str) -> Any:
        end = time.monotonic() + self.timeout_s
        while time.monotonic() < end:
            with contextlib.suppress(PageIsGoneError):  # of one page, while the next is on its way
                if value := condition():
                    return value
            time.sleep(0.05)
        raise AssertionError(f"waited {self.timeout_s} s for: {what}")

    def press(self, keys: str) -> None:
        """Press keys: characters, or the name of a key between blanks, with Shift+ before it: `jj Shift+Enter a`."""
        for part in keys.split():
            shift, _, name = part.rpartition("+") if len(part) > 1 else ("", "", part)
            for key in [name] if name in NAMED_KEYS else name:
                text, code = NAMED_KEYS.get(key, (key, 0))
                self.call(
                    "Input.dispatchKeyEvent",
                    type="keyDown" if text else "rawKeyDown",
                    key=key,
                    text=text,
                    modifiers=8 if shift else 0,
                    windowsVirtualKeyCode=code,
                )
                self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, selector: str) -> None:
        """A click of the mouse in the middle of an element."""
        x, y = self.evaluate(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def emulate(self, *, dark: bool = False, width: int = 1360, height: int = 860) -> None:
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
