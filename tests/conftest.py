"""What every test may ask for."""

pytest_plugins = ["server_fixtures", "influx_fixtures"]
