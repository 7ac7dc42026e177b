"""A real Chromium, driven over its DevTools protocol: what a page does, asks for and looks like.

async with Page(browser_program(), "file:///report.html", width=390, dark=True) as page:
    await page.until("document.title")
"""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import pytest

__all__ = ["A4", "PAPER", "Page", "browser_program"]

NAMES = ("chromium", "chromium-browser", "google-chrome")
A4 = (8.27, 11.69)
"""A sheet, in inches."""
PAPER = 718
"""Pixels of a sheet of A4 between its margins."""


def browser_program() -> str:
    """Return the browser on PATH. Skips the test where there is none; with CI=true it fails."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        said = f"expected {NAMES[0]} on PATH; next step: apt-get install chromium"
        if os.environ.get("CI", "").lower() in {"1", "true"}:
            pytest.fail(said, pytrace=False)
        pytest.skip(said)
    return found


class Page:
    """A page in a browser of its own.

    asked:    the address of everything that it asked for, itself included
    trouble:  what it wrote to the console, exceptions and violations of its policy, a line each
    """

    def __init__(self, program: str, url: str, *, width: int = 1280, dark: bool = False) -> None:
        self.asked: list[str] = []
        self.trouble: list[str] = []
        self._program, self._url, self._width, self._dark = program, url, width, dark
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._session = ""

    async def __aenter__(self) -> Self:
        place = self._start()
        port = place / "DevToolsActivePort"
        for _ in range(600):
            if port.exists() and port.read_text().count("\n"):
                break
            await asyncio.sleep(0.05)
        number, path = port.read_text().split()
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(f"ws://127.0.0.1:{number}{path}", max_msg_size=0)
        self._reading = asyncio.create_task(self._read())
        target = (await self.send("Target.createTarget", url="about:blank"))["targetId"]
        self._session = (await self.send("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.send(f"{domain}.enable")
        mobile = self._width < 600
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=self._width, height=900, deviceScaleFactor=2 if mobile else 1, mobile=mobile,
        )  # fmt: skip
        await self.scheme(dark=self._dark)
        await self.send("Page.navigate", url=self._url)
        return self

    def _start(self) -> Path:
        """Start the browser and return its folder."""
        self._profile = tempfile.TemporaryDirectory(prefix="otel-llm-browser-", ignore_cleanup_errors=True)
        place = Path(self._profile.name)
        with (place / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    self._program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                    "--remote-debugging-port=0", f"--user-data-dir={place}", "--no-first-run", "about:blank",
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        return place

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        await self._socket.close()
        await self._http.close()
        self._process.kill()
        self._process.wait()
        self._profile.cleanup()

    async def scheme(self, *, dark: bool) -> None:
        """Prefer a light or a dark scheme, as a person's system does."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.send("Emulation.setEmulatedMedia", features=features)

    async def send(self, method: str, **parameters: Any) -> Any:
        number = len(self._answers) + 1
        self._answers[number] = asyncio.get_running_loop().create_future()
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        await self._socket.send_str(json.dumps(message))
        return await asyncio.wait_for(self._answers[number], 60)

    async def run(self, script: str) -> Any:
        """Return the value of a script, awaited, as JSON has it. Raises AssertionError when it throws."""
        got = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until a script is true."""
        for _ in range(600):
            if await self.run(f"document.documentElement !== null && ({script})"):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never: {script}; {self.trouble}")

    async def picture(self, **clip: float) -> bytes:
        """Return what the whole page looks like, as PNG, or the part of it at x, y, width and height."""
        part = {"clip": {**clip, "scale": 1}} if clip else {}
        got = await self.send("Page.captureScreenshot", captureBeyondViewport=True, format="png", **part)
        return base64.b64decode(got["data"])

    async def _read(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                answer = self._answers[said["id"]]
                if "error" in said:
                    answer.set_exception(AssertionError(said["error"]))
                else:
                    answer.set_result(said["result"])
            elif said["method"] == "Network.requestWillBeSent":
                self.asked.append(said["params"]["request"]["url"][:200])
            elif said["method"] == "Runtime.exceptionThrown":
                self.trouble.append(json.dumps(said["params"]["exceptionDetails"])[:500])
            elif said["method"] == "Runtime.consoleAPICalled":
                self.trouble.append(json.dumps(said["params"]["args"])[:500])
            elif said["method"] == "Log.entryAdded":
                self.trouble.append(json.dumps(said["params"]["entry"])[:500])
