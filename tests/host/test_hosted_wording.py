"""What is said of updates of hosted layers, where it differs from other services."""

from __future__ import annotations

import pytest

pytest.importorskip("qgis.core", reason="QGIS is not here")

from host.samples import WEB_MERCATOR_LEVELS

from tile_cache_manager.plugin.core.request import UpdateMode
from tile_cache_manager.plugin.core.site_update import PartState, SiteUpdate, UpdatePart
from tile_cache_manager.plugin.host.job_wording import job_advice

URL = "https://site.test/rest/admin/services/World/MapServer"


@pytest.mark.parametrize(
    ("is_hosted", "advice"),
    [
        (True, "and update again what is missing."),
        (False, "and make the rest with Recreate Empty Tiles."),
    ],
)
def test_nobody_is_sent_to_a_mode_that_is_not_offered(is_hosted: bool, advice: str) -> None:
    part = UpdatePart((0,), {}, state=PartState.LOST, job_url=f"{URL}/jobs/1")
    update = SiteUpdate(
        key="1",
        address="https://site.test/rest/services/World/MapServer",
        name="World",
        mode=UpdateMode.RECREATE_ALL,
        levels=WEB_MERCATOR_LEVELS[:1],
        submit_url=URL,
        parts=(part,),
        started=0.0,
        changed=0.0,
        is_hosted=is_hosted,
    )
    assert job_advice(update).endswith(advice)
