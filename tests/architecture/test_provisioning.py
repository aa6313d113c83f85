"""The files that Grafana reads are what the code makes."""

from pathlib import Path

from grafana.build import build, files

PROVISIONING = Path(__file__).parents[2] / "provisioning"


def test_the_provisioned_files_are_current():
    """`txwatch grafana build` has nothing to write."""
    assert build(PROVISIONING, files(), check=True) == []


def test_building_twice_makes_the_same_files(tmp_path):
    """Whatever was there before: what nothing makes any more goes, what is not ours stays."""
    (tmp_path / "dashboards/operations").mkdir(parents=True)
    (tmp_path / "dashboards/operations/old.json").write_text("{}")
    (tmp_path / "README.md").write_text("mine")

    first = build(tmp_path, files(), check=False)

    assert "dashboards/operations/old.json" in first
    assert build(tmp_path, files(), check=False) == []
    assert (tmp_path / "README.md").read_text() == "mine"
