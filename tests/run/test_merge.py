"""Shards that were run apart are, together, the bytes of one run; overlapping, foreign and missing ones are named."""

import pytest

from simsa import cli
from simsa.errors import RecordsError
from simsa.run.merge import merge
from tests.ensemble.test_axes import AXES, TEXT
from tests.support.runs import contents, swept


@pytest.fixture(scope="module", autouse=True)
def no_figures():
    """Let the runs of this file draw nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simsa.plots.save_all", lambda summary, folder: [])
        yield


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Return the folder of a whole run, and those of its three shards."""
    folder = tmp_path_factory.mktemp("shards")
    file = folder / "axes.toml"
    file.write_text(TEXT + AXES, encoding="utf-8")
    swept(file, folder / "whole")
    for k in (1, 2, 3):
        assert cli.main(["sweep", str(file), "--shard", f"{k}/3", "--out", str(folder / f"{k}"), "--quiet"]) == 0
    return folder


def test_merged_shards_have_the_bytes_of_one_run(shards, tmp_path, capsys):
    parts = [str(shards / f"{k}") for k in (3, 1, 2)]
    assert cli.main(["merge", *parts, "--out", str(tmp_path / "merged"), "--quiet"]) == 0
    assert contents(tmp_path / "merged") == contents(shards / "whole")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "axes, tensorflow, seed 7" and (tmp_path / "merged" / "report.html").exists()


def test_a_shard_says_what_is_left(shards, tmp_path, capsys):
    file = shards / "axes.toml"
    assert cli.main(["sweep", str(file), "--shard", "1/2", "--out", str(tmp_path / "x"), "--quiet"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("part 1 of 2 is done: 8 of 16 blocks are in ") and "simsa merge" in out
    for wrong in ("0/2", "3/2", "2", "a/b"):
        with pytest.raises(SystemExit) as stopped:
            cli.main(["sweep", str(file), "--shard", wrong])
        assert stopped.value.code == 2
        assert f"expected a part such as 2/5, the second of five, got '{wrong}'" in capsys.readouterr().err


def test_overlapping_foreign_and_missing_shards_are_named(shards, tmp_path):
    one, two = shards / "1", shards / "2"
    with pytest.raises(RecordsError, match=r"1 and .*whole overlap: both have cell 0, trajectories 0 to 19"):
        merge([one, shards / "whole"], tmp_path / "a", silent=True)
    assert not (tmp_path / "a").exists()
    other = tmp_path / "other"
    swept(shards / "axes.toml", other, "scenario.seed=8")
    with pytest.raises(RecordsError, match=f"{other} holds results of another scenario"):
        merge([one, other], tmp_path / "b", silent=True)
    with pytest.raises(RecordsError, match=r"has 11 of 16 blocks, .* simsa sweep .*axes\.toml --out .* --resume"):
        merge([one, two], tmp_path / "c", silent=True)
    assert cli.main(["sweep", str(shards / "axes.toml"), "--out", str(tmp_path / "c"), "--resume", "--quiet"]) == 0
    assert contents(tmp_path / "c") == contents(shards / "whole")
