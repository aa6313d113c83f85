"""The rooms know only what they may know."""

from importlinter.cli import lint_imports


def test_every_import_contract_is_kept(capsys):
    """Import contracts in pyproject.toml hold; a new module must be placed in its room's layers."""
    status = lint_imports(no_cache=True)

    assert status == 0, capsys.readouterr().out
