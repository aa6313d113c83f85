"""The two servers from their package registries, for machines on which no container engine runs.

Kafka comes as jars from Maven, InfluxDB is compiled by Go (and cargo, for its query language's
library).  What a recipe needs beyond a version is read from the module itself at build time.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cached_build import ServerUnavailableError, built, needs

KAFKA_VERSION = "3.9.1"
KAFKA_ARTIFACTS = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
INFLUXDB_VERSION = "2.7.12"
INFLUXDB_MODULE = "github.com/influxdata/influxdb/v2"
PKG_CONFIG_MODULE = "github.com/influxdata/pkg-config"

KAFKA_FOLDER = f"kafka-{KAFKA_VERSION}"
INFLUXDB_FOLDER = f"influxdb-{INFLUXDB_VERSION}-{os.uname().sysname}-{os.uname().machine}".lower()

POM = """<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>txwatch</groupId><artifactId>servers</artifactId><version>1</version>
  <dependencies>{dependencies}</dependencies>
</project>
"""
DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"

GO_MOD = """module txwatch/servers

go {go}

require {module} v{version}

{replaces}
"""

CAP_LINTS = '#!/bin/sh\nexec "$@" --cap-lints warn\n'
"""Flux turns the warnings of the compiler it was written for into errors; ours is newer."""


def kafka_jars() -> Path:
    """Return the folder of Kafka's jars (46 MB, seconds the first time)."""
    return built(KAFKA_FOLDER, _fetch_kafka)


def influxd() -> Path:
    """Return the influxd binary (132 MB, minutes the first time)."""
    return built(INFLUXDB_FOLDER, _build_influxdb) / "influxd"


def _fetch_kafka(folder: Path, log: Path) -> None:
    needs("java", "mvn")
    dependencies = "".join(DEPENDENCY.format(*artifact.split(":")) for artifact in KAFKA_ARTIFACTS)
    (folder / "pom.xml").write_text(POM.format(dependencies=dependencies))
    _run(["mvn", "-B", "-q", "dependency:copy-dependencies", f"-DoutputDirectory={folder}"], folder, {}, log)


def _build_influxdb(folder: Path, log: Path) -> None:
    needs("go", "cargo", os.environ.get("CC", "cc"))
    work = folder / "work"
    work.mkdir()
    _write_go_mod(work, log)
    pkg_config = work / "pkg-config"
    environment = {"GOFLAGS": f"{_go_env('GOFLAGS', work)} -mod=mod".strip(), "GOTOOLCHAIN": "local"}
    _run(["go", "build", "-o", str(pkg_config), PKG_CONFIG_MODULE], work, environment, log)
    environment |= {"PKG_CONFIG": str(pkg_config), **_rust_environment(work)}
    command = ["go", "build", "-tags", "sqlite_foreign_keys,sqlite_json"]
    _run([*command, "-o", str(folder / "influxd"), f"{INFLUXDB_MODULE}/cmd/influxd"], work, environment, log)
    shutil.rmtree(work)


def _write_go_mod(work: Path, log: Path) -> None:
    """Require InfluxDB and repeat its own `replace` lines, which Go reads only in the main module."""
    download = ["go", "mod", "download", "-json", f"{INFLUXDB_MODULE}@v{INFLUXDB_VERSION}"]
    module = json.loads(_output(download, work, log))
    upstream = json.loads(_output(["go", "mod", "edit", "-json", module["GoMod"]], work, log))
    (work / "go.mod").write_text(
        GO_MOD.format(
            go=upstream["Go"],
            module=INFLUXDB_MODULE,
            version=INFLUXDB_VERSION,
            replaces="\n".join(_replace_line(replace) for replace in upstream["Replace"] or ()),
        )
    )


def _replace_line(replace: Mapping[str, Mapping[str, str]]) -> str:
    old, new = (
        f"{side['Path']} {side.get('Version', '')}".strip() for side in (replace["Old"], replace["New"])
    )
    return f"replace {old} => {new}"


def _rust_environment(work: Path) -> dict[str, str]:
    """Compile with the installed toolchain, whatever the library pins."""
    wrapper = work / "rustc-wrapper"
    wrapper.write_text(CAP_LINTS)
    wrapper.chmod(0o755)
    environment = {"RUSTC_WRAPPER": str(wrapper)}
    if shutil.which("rustup"):
        active = _output(["rustup", "show", "active-toolchain"], work, work / "rustup.log")
        environment["RUSTUP_TOOLCHAIN"] = active.split()[0]
    return environment


def _go_env(name: str, work: Path) -> str:
    return _output(["go", "env", name], work, work / "go-env.log").strip()


def _output(command: Sequence[str], folder: Path, log: Path) -> str:
    with log.open("ab") as errors:
        run = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=errors, text=True, check=False
        )
    _refuse_failure(command, run.returncode, log)
    return run.stdout


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> None:
    nice = ["nice", "-n", "10", *command]
    with log.open("ab") as output:
        code = subprocess.run(
            nice, cwd=folder, env={**os.environ, **environment}, stdout=output, stderr=output, check=False
        ).returncode
    _refuse_failure(command, code, log)


def _refuse_failure(command: Sequence[str], code: int, log: Path) -> None:
    if code:
        last = log.read_text(errors="replace").strip().splitlines()[-3:]
        raise ServerUnavailableError(
            f"`{' '.join(command[:3])}` failed ({code}): {' | '.join(last)}; see {log}"
        )
