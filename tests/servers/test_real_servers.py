"""The real servers do their work, and take it up again after every way in which they can go away."""

import time
import uuid

import pytest
from confluent_kafka import Consumer, Producer
from influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS


def produce(address, topic, values):
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(60) == 0


def consume(address, topic, count):
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    values, deadline = [], time.monotonic() + 60
    while len(values) < count and time.monotonic() < deadline:
        values += [message.value() for message in consumer.consume(count, 0.5) if not message.error()]
    consumer.close()
    return values


def write(influxdb, lines):
    with InfluxDBClient(influxdb.url, influxdb.token, org=influxdb.org) as client:
        client.write_api(write_options=SYNCHRONOUS).write("scratch", record=lines)


def read(influxdb, measurement):
    query = (
        f'from(bucket: "scratch") |> range(start: 0) |> filter(fn: (r) => r._measurement == "{measurement}")'
    )
    with InfluxDBClient(influxdb.url, influxdb.token, org=influxdb.org) as client:
        return [record.get_value() for table in client.query_api().query(query) for record in table.records]


@pytest.fixture
def name():
    return f"test-{uuid.uuid4().hex[:8]}"


def test_kafka_gives_back_what_was_produced(kafka, name):
    """A message produced is consumed."""
    produce(kafka.address, name, [b"one", b"two"])

    assert consume(kafka.address, name, 2) == [b"one", b"two"]


def test_influxdb_gives_back_what_was_written(influxdb, name):
    """A point written is read."""
    write(influxdb, [f"{name} amount=12.5 1", f"{name} amount=13.5 2"])

    assert read(influxdb, name) == [12.5, 13.5]


def test_kafka_keeps_its_messages_when_it_is_killed(kafka, name):
    """After SIGKILL and a new start on the same port, earlier messages are there and new ones are taken."""
    produce(kafka.address, name, [b"before"])
    kafka.kill()
    kafka.start()
    produce(kafka.address, name, [b"after"])

    assert consume(kafka.address, name, 2) == [b"before", b"after"]


def test_influxdb_keeps_its_points_when_it_is_killed(influxdb, name):
    """After SIGKILL and a new start on the same port, acknowledged points are there."""
    write(influxdb, [f"{name} amount=1 1"])
    influxdb.kill()
    influxdb.start()

    assert read(influxdb, name) == [1.0]


@pytest.mark.parametrize("index", [0, 1], ids=["kafka", "influxdb"])
def test_a_paused_server_goes_on_where_it_was(kafka, influxdb, index):
    """While paused a server does not answer; resumed, it does."""
    server = (kafka, influxdb)[index]
    server.pause()
    silent = not server.ready()
    server.resume()
    server.wait_until_ready()

    assert silent
    assert server.ready()
