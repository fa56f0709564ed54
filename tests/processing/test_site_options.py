"""What `tilecache:managetiles` is told of sites alone: hosted layers, failing bundles, alarms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER
from processing_inputs import polygon_layer
from qgis.core import QgsProcessingException, QgsProperty
from qgis.PyQt.QtCore import QVariant

pytestmark = pytest.mark.qgis

CORNER = "POLYGON((0.1 0.1, 0.9 0.1, 0.9 0.9, 0.1 0.9, 0.1 0.1))"
"""North-east of (0, 0), where four bundles of level 9 of the layer Corner_Tiles meet."""
SCALE_9 = "1155581.108577"


@pytest.fixture
def hosted(
    provider: Any, qgis_processing: Any, fresh_site: Any, store_sign_in: Any
) -> Callable[..., dict[str, Any]]:
    """Runs managetiles on a hosted layer, as its owner."""
    sign_in = store_sign_in("Basic", username=PUBLISHER.name, password=PUBLISHER.password)

    def run_it(**parameters: Any) -> dict[str, Any]:
        asked = {
            "INPUT_SERVICE": fresh_site.service_url("online", "Corner_Tiles"),
            "AUTH_CONFIG": sign_in,
            "PORTAL_URL": fresh_site.portal_url("online"),
            "SCALES": SCALE_9,
            **parameters,
        }
        return dict(qgis_processing.run("tilecache:managetiles", asked))

    return run_it


def tiles(site: Any) -> int:
    return len(site.read_cache("online", "Corner_Tiles").get(9, {}))


def test_whole_bundles_are_made_counted_and_deleted(hosted: Any, fresh_site: Any) -> None:
    everything = hosted(UPDATE_MODE="RECREATE_ALL_TILES")
    assert tiles(fresh_site) == everything["TILES"] == 256  # 16 x 16, a quarter in each bundle

    deleted = hosted(UPDATE_MODE="DELETE_TILES", AREA_OF_INTEREST=polygon_layer(CORNER))

    assert deleted["TILES"] == deleted["DELETED"] == 64
    assert tiles(fresh_site) == 192


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"MERGE_BUNDLES": True}, "deletes every bundle"),
        ({"REPLACE_TILES": True}, "MERGE_BUNDLES as well"),
        ({"MERGE_BUNDLES": ""}, "MERGE_BUNDLES"),
        ({"MERGE_BUNDLES": "perhaps"}, "MERGE_BUNDLES"),
        ({"ISOLATE_FAILURES": QVariant(QVariant.Type.String)}, "ISOLATE_FAILURES"),
        ({"ISOLATE_FAILURES": "ja"}, "ISOLATE_FAILURES"),
        ({"ALARM_MINUTES": "soon"}, "ALARM_MINUTES"),
        ({"ALARM_MINUTES": "nan"}, "ALARM_MINUTES"),
        ({"ALARM_MINUTES": 0}, "ALARM_MINUTES"),
        ({"ALARM_MINUTES": QgsProperty.fromExpression("@none")}, "ALARM_MINUTES"),
    ],
    ids=["merging while deleting", "replacing without merging", "no text", "misspelt", "NULL",
         "another language", "no number", "nan", "zero", "an expression without result"],
)  # fmt: skip
def test_bad_values_delete_nothing(
    hosted: Any, fresh_site: Any, parameters: dict[str, Any], words: str
) -> None:
    hosted(UPDATE_MODE="RECREATE_ALL_TILES")

    with pytest.raises(QgsProcessingException, match=words):
        hosted(UPDATE_MODE="DELETE_TILES", **parameters)

    assert tiles(fresh_site) == 256


def test_a_job_is_followed_by_the_sign_in_and_portal_it_was_begun_with(
    hosted: Any, fresh_site: Any, qgis_processing: Any
) -> None:
    begun = hosted(UPDATE_MODE="RECREATE_ALL_TILES", WAIT="DO_NOT_WAIT")

    asked = {"INPUT_JOB": begun["JOB_URL"], "ACTION": "FOLLOW"}
    followed = qgis_processing.run("tilecache:managejob", asked)

    assert followed["STATE"] == "DONE"
    assert tiles(fresh_site) == 256


def test_only_hosted_layers_merge(run: Any, fresh_site: Any) -> None:
    with pytest.raises(QgsProcessingException, match="only hosted layers merge"):
        run(MERGE_BUNDLES=True)

    assert fresh_site.jobs("classic") == []


def test_what_fails_is_found_to_the_bundle(run: Any, fresh_site: Any) -> None:
    fresh_site.fail_bundles("classic", "World:MapServer", 3, [(0, 0)])

    results = run(SCALES="147914381.897889;73957190.948944", ISOLATE_FAILURES=True)

    made = {level: len(found) for level, found in fresh_site.read_cache("classic", "World").items()}
    assert made.get(2) == 16
    assert results["TILES"] == 80
