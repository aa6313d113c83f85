"""Two Go programs for measuring and checking, from the Go module proxy: Telegraf and a compose file reader.

Telegraf is the peer that benchmarks compare with.  The reader is the library that docker compose itself
loads its files with, for machines without the compose plugin.
"""

import json
import shutil
from pathlib import Path

from cached_build import built, needs
from registry_builds import _output as output
from registry_builds import _run as run

TELEGRAF_VERSION = "1.37.2"
TELEGRAF_MODULE = "github.com/influxdata/telegraf"
TELEGRAF_TAGS = "custom,inputs.kafka_consumer,outputs.influxdb_v2,parsers.json,parsers.json_v2"
COMPOSE_GO_VERSION = "2.9.1"
COMPOSE_GO_MODULE = "github.com/compose-spec/compose-go/v2"

TELEGRAF_FOLDER = f"telegraf-{TELEGRAF_VERSION}"
COMPOSE_READER_FOLDER = f"compose-reader-{COMPOSE_GO_VERSION}"

COMPOSE_READER = """package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
)

func main() {
	options, err := cli.NewProjectOptions(os.Args[1:2], cli.WithName("txwatch"),
		cli.WithEnvFiles(os.Args[2]), cli.WithDotEnv)
	if err == nil {
		project, failure := options.LoadProject(context.Background())
		err = failure
		if err == nil {
			text, failure := project.MarshalJSON()
			err = failure
			fmt.Println(string(text))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
"""


def telegraf() -> Path:
    """Return the telegraf binary (minutes the first time)."""
    return built(TELEGRAF_FOLDER, _build_telegraf) / "telegraf"


def compose_reader() -> Path:
    """Return a program that prints a compose file as JSON: arguments are the file and its `.env`."""
    return built(COMPOSE_READER_FOLDER, _build_compose_reader) / "compose-reader"


def _build_telegraf(folder: Path, log: Path) -> None:
    """Build in a copy of the module: one of its dependencies is only found from its own go.mod."""
    needs("go")
    download = ["go", "mod", "download", "-json", f"{TELEGRAF_MODULE}@v{TELEGRAF_VERSION}"]
    work = folder / "work"
    shutil.copytree(json.loads(output(download, folder, log))["Dir"], work, copy_function=shutil.copyfile)
    run(["chmod", "-R", "u+w", str(work)], folder, {}, log)
    binary = str(folder / "telegraf")
    run(["go", "build", "-tags", TELEGRAF_TAGS, "-o", binary, "./cmd/telegraf"], work, {}, log)
    shutil.rmtree(work)


def _build_compose_reader(folder: Path, log: Path) -> None:
    needs("go")
    work = folder / "work"
    work.mkdir()
    (work / "main.go").write_text(COMPOSE_READER)
    run(["go", "mod", "init", "txwatch/compose-reader"], work, {}, log)
    run(["go", "get", f"{COMPOSE_GO_MODULE}@v{COMPOSE_GO_VERSION}"], work, {}, log)
    run(["go", "mod", "tidy"], work, {}, log)
    run(["go", "build", "-o", str(folder / "compose-reader"), "."], work, {}, log)
    shutil.rmtree(work)
