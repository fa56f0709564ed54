"""What all tests share: the plugin under its own name, QGIS where it is, the stand-in site.

The checkout's folder may have any name, but inside QGIS the plugin is the package
`tile_cache_manager`. So the root `__init__.py` is loaded under that name before tests are read.
Nothing here needs QGIS: tests that do are skipped where it is absent.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "tile_cache_manager"
HAS_QGIS = importlib.util.find_spec("qgis") is not None
QGIS_PREFIX = os.environ.get("QGIS_PREFIX_PATH", "/usr")

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def _load_package() -> None:
    """Make the checkout importable as `tile_cache_manager`, whatever its folder is called."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


_load_package()

if not HAS_QGIS:
    # These folders import QGIS as they are read, so without it they are not even collected.
    collect_ignore = ["host", "ui", "processing", "desktop"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs QGIS where there is none."""
    if HAS_QGIS:
        return
    for item in items:
        if item.get_closest_marker("qgis") or "qgis_app" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="QGIS is not installed for this Python"))


@pytest.fixture(scope="session")
def qgis_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that stands for the user's QGIS profile while tests run."""
    return tmp_path_factory.mktemp("qgis_profile")


@pytest.fixture(scope="session")
def qgis_app(qgis_folder: Path) -> Iterator[Any]:
    """The QgsApplication, with widgets; settings and sign-in database in a temporary folder."""
    for variable in ("QGIS_CUSTOM_CONFIG_PATH", "QGIS_AUTH_DB_DIR_PATH", "XDG_CONFIG_HOME"):
        os.environ[variable] = str(qgis_folder)
    from qgis.core import QgsApplication
    from qgis.PyQt.QtCore import QCoreApplication, QSettings

    QSettings.setDefaultFormat(QSettings.Format.IniFormat)
    for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
        QSettings.setPath(QSettings.Format.IniFormat, scope, str(qgis_folder))
    QgsApplication.setPrefixPath(QGIS_PREFIX, True)
    app = QgsApplication([b"tile_cache_manager_tests"], True, str(qgis_folder))
    QCoreApplication.setOrganizationName("tile_cache_manager")
    QCoreApplication.setApplicationName("tests")
    app.initQgis()
    yield app
    app.taskManager().cancelAll()
    app.exitQgis()


@pytest.fixture
def store_sign_in(qgis_app: Any) -> Iterator[Callable[..., str]]:
    """`store_sign_in(method, **values)` keeps sign-in details in QGIS and gives their id."""
    from qgis.core import QgsAuthMethodConfig

    manager = qgis_app.authManager()
    assert manager.masterPasswordIsSet() or manager.setMasterPassword("master", True)
    ids: list[str] = []

    def store(method: str, **values: str) -> str:
        config = QgsAuthMethodConfig(method)
        config.setName(f"my {method}")
        for key, value in values.items():
            config.setConfig(key, value)
        stored = manager.storeAuthenticationConfig(config)
        # QGIS 3.22 answers with the success alone, later ones with the configuration as well
        assert stored if isinstance(stored, bool) else stored[0]
        ids.append(config.id())
        return config.id()

    yield store
    for config_id in ids:
        manager.removeAuthenticationConfig(config_id)


@pytest.fixture(scope="session")
def qgis_processing(qgis_app: Any) -> Any:
    """QGIS's `processing` module, ready to run algorithms."""
    folder = str(Path(qgis_app.pkgDataPath()) / "python" / "plugins")
    if folder not in sys.path:
        sys.path.append(folder)
    import processing
    from processing.core.Processing import Processing

    Processing.initialize()
    return processing


@pytest.fixture(autouse=True)
def _no_hidden_exceptions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test in which a slot or a thread raised: Qt would abort, or nobody would notice."""
    raised: list[BaseException] = []
    monkeypatch.setattr(sys, "excepthook", lambda _type, error, _trace: raised.append(error))
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_value))
    yield
    if raised:
        raise raised[0]


WaitUntil = Callable[..., None]


@pytest.fixture
def wait_until() -> WaitUntil:
    """`wait_until(condition, timeout_seconds, what)`: returns once `condition()` holds, else fails.

    Qt's events are handled meanwhile where there is a QApplication.
    """

    def wait(condition: Callable[[], Any], timeout_seconds: float = 10, what: str = "") -> None:
        end = time.monotonic() + timeout_seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"waited {timeout_seconds} s in vain for: {what or condition}")
            _handle_events()

    return wait


def _handle_events() -> None:
    """Let Qt deliver what is due (deferred deletions too), or give other threads a turn."""
    core = sys.modules.get("qgis.PyQt.QtCore")
    if core is not None and core.QCoreApplication.instance() is not None:
        core.QCoreApplication.processEvents()
        core.QCoreApplication.sendPostedEvents(None, core.QEvent.Type.DeferredDelete)
    time.sleep(0.005)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The stand-in ArcGIS site on loopback; drawn by QGIS's renderer where there is QGIS."""
    pytest.importorskip("flask", reason="the stand-in ArcGIS site needs Flask")
    from arcgis_server.handle import running_site

    folder = tmp_path_factory.mktemp("arcgis_site")
    with running_site(folder, drawing="qgis" if HAS_QGIS else "plain") as running:
        yield running


@pytest.fixture
def fresh_site(site: Any) -> Any:
    """The stand-in ArcGIS site as it was when it started: caches, jobs, oddities."""
    site.reset()
    return site
