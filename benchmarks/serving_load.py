"""Load over HTTP: wrk where it is installed, else a small asyncio client.

``wrk`` (a C program, in most distributions) answers for itself up to some 50,000 requests/s on one core.
The fallback manages some 10,000 and says so in the report: where a server comes near that, its figure is a
lower bound.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 8

_SCRIPT = """
local lines, bodies, turn = io.open("{bodies}"), {{}}, 0
for line in lines:lines() do bodies[#bodies + 1] = line end
function request()
  turn = turn % #bodies + 1
  return wrk.format("POST", nil, {{{headers}}}, bodies[turn])
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('JSON {{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "errors": %d}}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Measured:
    """Requests per second, and milliseconds that half and 99 % of the requests took at most."""

    rate: float
    p50: float
    p99: float
    errors: int


def tool() -> str:
    return "wrk" if shutil.which("wrk") else "asyncio client"


def measure(
    url: str,
    bodies: Sequence[str],
    seconds: float,
    headers: Mapping[str, str] | None = None,
    *,
    connections: int = CONNECTIONS,
) -> Measured:
    """POST the JSON bodies in turn over so many connections, each with these headers."""
    given = {"Content-Type": "application/json", **(headers or {})}
    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "bodies.jsonl"
        lines.write_text("\n".join(bodies) + "\n")
        if tool() == "wrk":
            script = Path(folder) / "load.lua"
            script.write_text(
                _SCRIPT.format(bodies=lines, headers=", ".join(f'["{k}"] = "{v}"' for k, v in given.items()))
            )
            command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script), url]
        else:
            command = [sys.executable, __file__, url, str(lines), str(seconds), json.dumps(given), str(connections)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    found = json.loads(done.stdout.rpartition("JSON ")[2])
    return Measured(found["requests"] / found["seconds"], found["p50"], found["p99"], found["errors"])


async def _client(url: str, bodies: list[str], seconds: float, headers: Mapping[str, str], connections: int) -> None:
    address = urlsplit(url)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    taken: list[float] = []
    errors = 0
    until = time.perf_counter() + seconds

    async def connection(number: int) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        turn = number
        while time.perf_counter() < until:
            body = bodies[turn % len(bodies)].encode()
            turn += 1
            began = time.perf_counter()
            writer.write(
                f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\n{lines}"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
            await reader.readexactly(length)
            errors += b" 200 " not in head[:16]
            taken.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(connection(number) for number in range(connections)))
    spent, taken = time.perf_counter() - began, sorted(taken)
    p50, p99 = (1e3 * taken[int(share * (len(taken) - 1))] for share in (0.5, 0.99))
    print("JSON", json.dumps({"requests": len(taken), "seconds": spent, "p50": p50, "p99": p99, "errors": errors}))


if __name__ == "__main__":
    given = json.loads(sys.argv[4])
    calls = Path(sys.argv[2]).read_text().splitlines()
    asyncio.run(_client(sys.argv[1], calls, float(sys.argv[3]), given, int(sys.argv[5])))
