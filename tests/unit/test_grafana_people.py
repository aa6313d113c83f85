"""`people.yaml`: who may look at Grafana, and every fault of it in its place."""

from pathlib import Path

import pytest

from grafana.access.people import Person, read_people
from grafana.audience import ADMINISTRATION, INVESTIGATIONS, OPERATIONS
from txwatch.errors import ConfigurationError, InputError


def written(folder: Path, text: str) -> Path:
    path = folder / "people.yaml"
    path.write_text(text)
    return path


def test_people_and_programs_are_read(tmp_path):
    found = read_people(
        written(
            tmp_path,
            "people:\n  - {login: olga, roles: [operator]}\nprograms:\n  - {name: w, role: operator}\n",
        )
    )

    assert [person.login for person in found.people] == ["olga"]
    assert [program.name for program in found.programs] == ["w"]


def test_every_fault_is_shown_with_its_line(tmp_path):
    """A role that is none, a key that is none, a login that stands twice."""
    path = written(
        tmp_path,
        "people:\n  - {login: olga, roles: [operater]}\n  - {login: ivan, role: operator}\nprogramms: []\n",
    )

    with pytest.raises(ConfigurationError) as caught:
        read_people(path)

    assert f"{path}:4:1: error: unknown section `programms`, did you mean `programs`?" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("- {login: olga, roles: [operater]}", "did you mean `operator`?"),
        ("- {login: olga, roles: []}", "length >= 1"),
        ("- {login: olga, rolls: [operator]}", "unknown key `rolls`, did you mean `roles`?"),
        ("- {login: 'o lga', roles: [operator]}", "`o lga` is not a name of letters"),
        ("- {roles: [operator]}", "`login` is missing"),
        ("- {login: o, roles: [operator]}\n  - {login: o, roles: [operator]}", "`o` stands here twice"),
    ],
)
def test_a_fault_names_its_place_and_what_was_meant(tmp_path, line, sentence):
    with pytest.raises(ConfigurationError) as caught:
        read_people(written(tmp_path, f"people:\n  {line}\n"))

    assert sentence in str(caught.value)
    assert "people.yaml:" in str(caught.value)


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_people(tmp_path / "none.yaml")


def test_an_empty_file_says_how_to_begin(tmp_path):
    with pytest.raises(ConfigurationError, match="start with `people:`"):
        read_people(written(tmp_path, ""))


def test_two_roles_give_the_places_of_both(tmp_path):
    """Where both are in an organisation, the one that may edit counts; teams are those of both."""
    person = Person(login="ivan", roles=("investigator", "administrator"))

    places = {name: place.role for name, place in person.places().items()}
    assert places == {"operations": "Editor", "investigations": "Viewer", "administration": "Viewer"}
    assert person.teams(OPERATIONS) == {"Operators", "Administrators"}


def test_administrators_see_no_raw_ids_and_investigators_no_audit():
    administrator = Person(login="ada", roles=("administrator",)).places()
    investigator = Person(login="ivan", roles=("investigator",)).places()

    assert INVESTIGATIONS.name not in administrator
    assert ADMINISTRATION.name not in investigator
