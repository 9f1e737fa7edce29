"""The table of the sources' claims: Holm's correction, and what stands on the page is what the script prints."""

import pytest

import claims


def test_holm_against_its_definition() -> None:
    # Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, and none below the one before.
    assert claims.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert claims.holm([0.5, 0.9]) == [1, 1]
    assert claims.holm([0.03]) == [0.03]


def test_the_page_has_what_the_script_prints(capsys: pytest.CaptureFixture[str]) -> None:
    claims.main()
    assert capsys.readouterr().out.strip() in (claims.RESULTS / "README.md").read_text()
