"""Names of packages: one each, safe on every system."""

from __future__ import annotations

import pytest

from tile_cache_manager.plugin.core.export.package_names import target_names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Streets"], ["Streets.tpkx"]),
        (["Base/Streets", "Other/Streets"], ["Base_Streets.tpkx", "Other_Streets.tpkx"]),
        (["Streets", "Streets", "STREETS"], ["Streets.tpkx", "Streets_2.tpkx", "STREETS_3.tpkx"]),
        (["A_2", "A", "A"], ["A_2.tpkx", "A.tpkx", "A_3.tpkx"]),
        (
            ["con", "LPT1", "nul.x", "console"],
            ["_con.tpkx", "_LPT1.tpkx", "_nul.x.tpkx", "console.tpkx"],
        ),
        (["../../etc/passwd"], ["etc_passwd.tpkx"]),
        ([r"..\..\x", 'a<b>c:"d"|e?*'], ["x.tpkx", "a_b_c_d_e.tpkx"]),
        (["", "/", "..."], ["cache.tpkx", "cache_2.tpkx", "cache_3.tpkx"]),
        (
            ["Gemeindestraßen", "Gemeindestrassen"],
            ["Gemeindestraßen.tpkx", "Gemeindestrassen_2.tpkx"],
        ),
        (["a\x00b\u202ec\n"], ["abc.tpkx"]),
        (["name. .", ".hidden"], ["name.tpkx", "hidden.tpkx"]),
    ],
)
def test_names(names, expected):
    assert list(target_names(names, ".tpkx")) == expected


def test_long_names_stay_different_and_short_enough():
    found = target_names(["ä" * 300, "ä" * 301, "x" * 300], ".tpkx")
    assert len(set(found)) == 3
    assert all(len(name.encode()) <= 110 for name in found)
