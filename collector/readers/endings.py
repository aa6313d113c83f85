"""Which reader reads which file: by the ending of its name."""

from collector.readers.chunk import Reader
from collector.readers.csvlines import read_csv
from collector.readers.jsonlines import read_json_lines
from collector.readers.parquet import read_parquet
from txwatch.errors import InputError

READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".jsonl": read_json_lines,
    ".jsonl.gz": read_json_lines,
    ".ndjson": read_json_lines,
    ".ndjson.gz": read_json_lines,
    ".parquet": read_parquet,
}


def known_reader(path: str) -> Reader | None:
    """Return the reader of a file, None where its ending is not known."""
    return next((reader for ending, reader in READERS.items() if path.lower().endswith(ending)), None)


def reader_for(path: str) -> Reader:
    """Return the reader of a file; raises InputError naming the endings that are known."""
    reader = known_reader(path)
    if reader is None:
        raise InputError(f"{path} is of no known kind; known endings are {', '.join(READERS)}")
    return reader
