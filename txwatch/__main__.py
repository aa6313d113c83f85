"""`python -m txwatch` is the same as `txwatch`."""

from txwatch.cli import main

if __name__ == "__main__":
    main()
