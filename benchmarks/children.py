"""
Child processes of a run: servers and the load client, each on its own core.

A child writes one JSON object a line to its standard output and ends when its standard input does, so that nothing
outlives a run that was interrupted.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

END_TIMEOUT = 20.0
ROOT = Path(__file__).resolve().parent.parent


class ChildError(RuntimeError):
    """A child of the run ended or answered with an error; its own words are in the message."""


class Child:
    """`python -m MODULE ARGUMENTS` in a process of its own."""

    def __init__(self, module: str, *arguments: str) -> None:
        self.module = module
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed in `end`
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and wait for its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ChildError(self._explain()) from None
        return self.read()

    def read(self) -> dict[str, Any]:
        """
        Wait for the next line of the child.

        Raises:
            ChildError: It ended instead, or its line carries an "error".
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildError(self._explain())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ChildError(f"{self.module}: {answer['error']}")
        return answer

    def end(self) -> None:
        """End the child, by its pid; kill it if it has not ended after `END_TIMEOUT` seconds."""
        self._process.terminate()
        try:
            self._process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()

    def _explain(self) -> str:
        code = self._process.wait(END_TIMEOUT)
        self._errors.seek(0)
        return f"{self.module} ended with code {code}:\n{self._errors.read()[-4000:]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()
