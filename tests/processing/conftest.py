"""Running `tilecache:managetiles` in this process, on the stand-in site."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER, Account
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
)
from qgis.PyQt.QtGui import QIcon

from tile_cache_manager.plugin.processing.provider import TileCacheProvider


@pytest.fixture(scope="module")
def provider(qgis_app: Any, qgis_processing: Any) -> Iterator[TileCacheProvider]:
    registry = qgis_app.processingRegistry()
    provider = TileCacheProvider(QIcon())
    registry.addProvider(provider)
    yield provider
    registry.removeProvider(provider)


@pytest.fixture
def run(provider: Any, qgis_processing: Any, fresh_site: Any, store_sign_in: Any) -> Any:
    """Runs the algorithm on the classic site's World as the publisher, with given parameters."""

    def run_it(account: Account | None = PUBLISHER, **parameters: Any) -> dict[str, Any]:
        parameters.setdefault("INPUT_SERVICE", fresh_site.service_url("classic", "World"))
        if account is not None:
            parameters["AUTH_CONFIG"] = store_sign_in(
                "Basic", username=account.name, password=account.password
            )
        return dict(qgis_processing.run("tilecache:managetiles", parameters))

    return run_it


@pytest.fixture
def run_unchecked(provider: Any, fresh_site: Any, store_sign_in: Any) -> Any:
    """Runs the algorithm as a model or script may: without checking the parameters first."""

    def run_it(feedback: QgsProcessingFeedback | None = None, **parameters: Any) -> dict[str, Any]:
        feedback = feedback or QgsProcessingFeedback()
        parameters["INPUT_SERVICE"] = fresh_site.service_url("classic", "World")
        parameters["AUTH_CONFIG"] = store_sign_in(
            "Basic", username=PUBLISHER.name, password=PUBLISHER.password
        )
        context = QgsProcessingContext()
        context.setProject(QgsProject.instance())
        algorithm = provider.algorithm("managetiles").create()
        results, succeeded = algorithm.run(parameters, context, feedback, {}, False)
        assert succeeded
        return dict(results)

    return run_it
