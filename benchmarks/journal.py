"""What recording a call costs: ``.venv/bin/python -m benchmarks.journal``.

Writes records of a real size into a journal on this disk and prints microseconds of CPU for each: building and
writing on the answer's path, and reading and storing them in the background (embedded SQLite)."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from services.core import use_case_registry
from services.core.contract.use_case import example_request
from services.core.database.connection import make_engine
from services.core.database.migrate import upgrade
from services.core.prediction_log.records import CallOrigin, decode_record
from services.core.prediction_log.store import store_records
from services.prediction.log.prediction_log import PredictionRecorder, RequestContext
from services.prediction.log.wal import WriteAheadLog

CALLS = 20_000


def main() -> None:
    use_case = use_case_registry.list_use_cases()[0]
    request = example_request(use_case.serving.request)
    body = json.dumps(request).encode()
    values, facts = use_case.serving.fallback_prediction(
        {name: request.get(name) for name in use_case.serving.request.model_fields}
    )
    answer = json.dumps(
        {
            "request_id": "0" * 24,
            "use_case": use_case.name,
            "model_version": "12",
            "source": "champion",
            "kind": "live",
            "simulated": False,
            "warnings": [],
            "answer": use_case.serving.build_response(values, facts, request),
        }
    ).encode()
    with tempfile.TemporaryDirectory() as folder:
        journal = WriteAheadLog(Path(folder) / "journal", limit_bytes=10**9, segment_bytes=4_194_304)
        journal.open()
        recorder = PredictionRecorder(journal, None, own_incident_field=False)
        began = time.process_time()
        for number in range(CALLS):
            arrival = RequestContext(
                CallOrigin("centre", "key", "key-1"), f"{number:024d}", time.time(), time.perf_counter()
            )
            recorder.call(arrival, body, request, "incident-1", decisions=b'{"a":true}', answer=answer)
        spent = (time.process_time() - began) / CALLS * 1e6
        print(f"one record: {spent:.1f} µs of CPU, {journal.waiting_bytes / CALLS:.0f} bytes")

        engine = make_engine(f"sqlite:///{folder}/vigie.db")
        upgrade(engine)
        began = time.process_time()
        count = 0
        for path in journal.seal():
            records = [decode_record(line) for line in path.read_bytes().splitlines()]
            for start in range(0, len(records), 500):
                store_records(engine, records[start : start + 500])
            count += len(records)
        print(f"delivering one: {(time.process_time() - began) / count * 1e6:.0f} µs of CPU in the background")


if __name__ == "__main__":
    main()
