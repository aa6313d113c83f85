"""Bring the real servers that tests and benchmarks use, or run them for a developer.

    python tests/servers/provide.py                  build or pull both ahead
    python tests/servers/provide.py --only influx    only one of them
    python tests/servers/provide.py --run            start them, print their addresses, stop on Ctrl-C

Where a container engine runs, they are its images; elsewhere they come from the package registries,
built once into TXWATCH_SERVER_CACHE (default: the user's cache folder), which needs Java and Maven for
Kafka, and Go, Rust and a C compiler for InfluxDB.  Exit code 1 and one sentence when one cannot be had.
"""

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from pathlib import Path

from cached_build import ServerUnavailableError, say
from influxdb_server import InfluxdbServer, provide_influxdb, start_influxdb
from kafka_server import KafkaServer, provide_kafka, start_kafka

PROVIDE = {"kafka": provide_kafka, "influx": provide_influxdb}
START = {"kafka": start_kafka, "influx": start_influxdb}


def main() -> int:
    """Do what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=sorted(PROVIDE), help="one of them instead of both")
    parser.add_argument("--run", action="store_true", help="start and keep them running")
    options = parser.parse_args()
    wanted = [options.only] if options.only else sorted(PROVIDE)
    try:
        for name in wanted:
            _tell(f"{name}: {PROVIDE[name]()}")
        if options.run:
            _keep_running(wanted)
    except ServerUnavailableError as error:
        say(str(error))
        return 1
    return 0


def _keep_running(wanted: list[str]) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="txwatch-servers-") as home, contextlib.ExitStack() as running:
        for name in wanted:
            folder = Path(home) / name
            folder.mkdir()
            server = START[name](folder)
            running.callback(server.close)
            _tell(_addresses(server))
        _tell("Ctrl-C stops them and removes their data")
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


def _addresses(server: KafkaServer | InfluxdbServer) -> str:
    if isinstance(server, KafkaServer):
        return f"kafka    {server.address}"
    return f"influxdb {server.url}  org {server.org}  token {server.token}"


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the script is for


if __name__ == "__main__":
    sys.exit(main())
