"""Compiling every kernel before the first transaction comes."""

from detectors.engine import Engine
from detectors.ordinary import stream
from detectors.settings import DetectionSettings, Forest


def warm_up() -> None:
    """Run a few made-up transactions through an engine that is thrown away.

    Compiles every kernel for the types that it meets at work: ten to twenty seconds on a fresh machine,
    a quarter of a second from the compiled cache.
    """
    settings = DetectionSettings(forest=Forest(trees=1, warm_up=300, sample_rows=512))
    Engine(settings).step(stream(310))
