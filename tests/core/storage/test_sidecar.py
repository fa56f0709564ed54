"""Our own folder beside a cache, and the settings in it."""

from __future__ import annotations

import json

import pytest

from tile_cache_manager.plugin.core.storage.sidecar import (
    CacheSettings,
    read_settings,
    work_folder,
    write_settings,
)

NAMES = ["cache", "cache.of.2024", "världen över", "a b.tpkx"]


@pytest.mark.parametrize("name", NAMES)
def test_settings_come_back(tmp_path, name):
    path = tmp_path / name
    path.mkdir()
    settings = CacheSettings("theme:Straßen 日本", "#ffeedd", (3, 5))

    write_settings(path, settings)

    assert read_settings(path) == settings
    assert read_settings(path).levels == (3, 5)
    assert work_folder(path).parent == path


def test_those_of_a_package_lie_beside_it(tmp_path):
    path = tmp_path / "a b.tpkx"
    path.write_bytes(b"x")

    write_settings(path, CacheSettings("layers:a,b"))

    assert read_settings(path).source == "layers:a,b"
    assert [each.name for each in tmp_path.iterdir() if each != path] == [
        ".a b.tpkx.tile_cache_manager"
    ]


def test_the_chosen_levels_stay_when_other_settings_change(tmp_path):
    write_settings(tmp_path, CacheSettings("theme:A", "", (1, 4)))
    write_settings(tmp_path, CacheSettings("theme:B", "#000000"))

    assert read_settings(tmp_path) == CacheSettings("theme:B", "#000000")
    assert read_settings(tmp_path).levels == (1, 4)


@pytest.mark.parametrize(
    ("content", "settings", "levels"),
    [
        (b"", CacheSettings(), ()),
        (b"{", CacheSettings(), ()),
        (b"[1, 2]", CacheSettings(), ()),
        (b"\xff\xfe{}", CacheSettings(), ()),
        (b"[" * 200_000, CacheSettings(), ()),
        (b'{"source": "' + b"x" * 2_000_000 + b'"}', CacheSettings(), ()),
        (b'{"source": 5, "background": null}', CacheSettings(), ()),
        (b'{"source": "theme:A", "colour": 1}', CacheSettings("theme:A"), ()),
        (
            b'{"source": "a", "levels": [5, 1, 1, "2", true, -3, null, 2.5]}',
            CacheSettings("a"),
            (1, 5),
        ),
        (b'{"levels": 5}', CacheSettings(), ()),
    ],
    ids=range(10),
)
def test_what_cannot_be_read_counts_as_not_set(tmp_path, content, settings, levels):
    work = work_folder(tmp_path)
    work.mkdir()
    (work / "settings.json").write_bytes(content)

    found = read_settings(tmp_path)

    assert (found, found.levels) == (settings, levels)


def test_nothing_is_read_where_there_is_no_cache(tmp_path):
    assert read_settings(tmp_path / "none") == CacheSettings()


def test_the_file_is_plain_json(tmp_path):
    write_settings(tmp_path, CacheSettings("é", "#010203", (2,)))

    content = json.loads((tmp_path / ".tile_cache_manager" / "settings.json").read_bytes())

    assert content == {"source": "é", "background": "#010203", "levels": [2]}


def test_a_package_needs_no_ending(tmp_path):
    path = tmp_path / "tiles"
    path.write_bytes(b"x")

    write_settings(path, CacheSettings("layers:a,b"))

    assert read_settings(path).source == "layers:a,b"
    assert work_folder(path) == tmp_path / ".tiles.tile_cache_manager"
