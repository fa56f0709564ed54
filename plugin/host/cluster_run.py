"""What a run on a cluster needs of this computer, written into a folder that all computers see."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

from qgis.core import (
    Qgis,
    QgsApplication,
    QgsExpressionContextUtils,
    QgsMapLayer,
    QgsProject,
    QgsVectorLayer,
)

from ..core.errors import (
    NotForCluster,
    NotForClusterReason,
    NothingToDraw,
    NothingToDrawReason,
    StorageError,
)
from ..core.local.source import TileSource
from ..core.storage.files import storage_errors, write_whole
from ..core.storage.locks import locked
from ..core.storage.profile import CacheProfile
from ..core.storage.sidecar import CacheSettings, work_folder
from . import sources
from .cluster_start import MARK, PACKED

FOLDER = "cluster"
PROJECT = "project.qgz"
RUN = "run.json"

PACKAGE = Path(__file__).resolve().parents[2]
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""Of all files in the zip, so that its digest is of what they say."""

_DIGITS = 32  # of the digest, hexadecimal
_LOCK = ".lock"
_MOMENT = 0.05  # seconds for which others hold a run's lock at the most, unless it is on

_PLAIN = (str, int, float)


@dataclass(frozen=True)
class RunFacts:
    """What a worker must know of a run.

    `source`, `background`: as in CacheSettings. `project_file`: where the project lies by itself,
    "" where it was never saved. `variables`: those of this QGIS and of its user. `prefix`: where
    QGIS lies. `fingerprint`: of the source, once it has started here.
    """

    cache: str
    source: str
    background: str
    project_file: str
    variables: dict[str, Any]
    qgis: str
    prefix: str
    fingerprint: str = ""


class RunFolder:
    """The folder of a run in the cache's work folder: mark, plugin, project; removed at the end.

    As the project may hold passwords, only those may look into it who may write the cache. A lock
    beside it says that the run is on; what one left behind that died is removed by the next.

    Made on the main thread. Raises NotForCluster, NothingToDraw, StorageError.
    """

    _twin: TileSource | None = None

    def __init__(
        self, cache: Path, text: str, project: QgsProject | None, settings: CacheSettings
    ) -> None:
        project = project or QgsProject()
        _refuse_memory_layers(text, project)
        cache = cache.absolute()
        self.mark = secrets.token_hex(16)
        self.path = work_folder(cache) / FOLDER / self.mark[:12]
        scope = QgsExpressionContextUtils.globalScope()
        values = {name: scope.variable(name) for name in scope.variableNames()}
        self._facts = RunFacts(
            cache=str(cache),
            source=text,
            background=settings.background,
            project_file=project.fileName(),
            variables={name: each for name, each in values.items() if isinstance(each, _PLAIN)},
            qgis=Qgis.QGIS_VERSION,
            prefix=QgsApplication.prefixPath(),
        )
        _remove_rests(self.path.parent)
        self._lock = ExitStack()
        self._lock.enter_context(locked(self.path.with_suffix(_LOCK)))
        try:
            with storage_errors(self.path):
                self.path.mkdir()
                _close_to_others(self.path)
            _write_project(project, self.path / PROJECT)
            # QGIS reads a project a little differently from what it wrote, the same way everywhere.
            self._twin = sent_source(self.path, self._facts, QgsProject())
            packed = _packed_plugin()
            self.digest = hashlib.sha256(packed).hexdigest()[:_DIGITS]
            write_whole(self.path / PACKED, packed)
            write_whole(self.path / MARK, self.mark.encode())
        except BaseException:
            self.remove()
            raise

    def tell(self, profile: CacheProfile) -> None:
        """Write down what workers must know to draw for the cache of `profile`. Once, any thread.

        Raises SourceError, StorageError.
        """
        twin = self._twin
        if twin is None:
            raise NotForCluster(str(self.path), NotForClusterReason.UNSAVED)
        twin.start(profile)
        self._drop_twin()
        facts = replace(self._facts, fingerprint=twin.fingerprint)
        write_whole(self.path / RUN, json.dumps(asdict(facts)).encode())

    def _drop_twin(self) -> None:
        twin, self._twin = self._twin, None
        if twin is not None:
            twin.close()

    def remove(self) -> None:
        """Remove the folder; what cannot be removed stays and does no harm."""
        self._drop_twin()
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()
        with suppress(OSError):
            self.path.with_suffix(_LOCK).unlink()  # its name will not be used again
            self.path.parent.rmdir()  # unless another run is on


def _remove_rests(folder: Path) -> None:
    """Remove from `folder` what runs left behind that died; what cannot be removed stays."""
    gone: list[Path] = []
    for lock in folder.glob(f"*{_LOCK}"):
        with suppress(StorageError), locked(lock, _MOMENT):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            gone.append(lock)
    for lock in gone:
        with suppress(OSError):
            lock.unlink()


def _close_to_others(folder: Path) -> None:
    """Keep all out of `folder` who may not write there; the share, or Windows, may know better."""
    with suppress(OSError):
        mode = stat.S_IMODE(folder.stat().st_mode)
        others = stat.S_IRWXO if mode & stat.S_IWGRP else stat.S_IRWXO | stat.S_IRWXG
        folder.chmod(mode & ~others)


def read_facts(path: Path) -> RunFacts:
    """What the file `path` tells a worker. Raises StorageError."""
    with storage_errors(path):
        return RunFacts(**json.loads(path.read_text(encoding="utf-8")))


def sent_source(folder: Path, facts: RunFacts, project: QgsProject) -> TileSource:
    """What the run in `folder` draws, of its project, which is read into `project`. Main thread.

    Expressions in it see what they see where it was sent from. Raises NothingToDraw.
    """
    if not project.read(str(folder / PROJECT)):
        raise NothingToDraw(str(folder / PROJECT), NothingToDrawReason.UNUSABLE)
    project.setCustomVariables({**facts.variables, **project.customVariables()})
    project.setFileName(facts.project_file)
    settings = CacheSettings(facts.source, facts.background)
    return sources.make_source(facts.source, project, settings, Path(facts.cache))


def _refuse_memory_layers(text: str, project: QgsProject) -> None:
    """Raises NotForCluster where a layer lies in this QGIS alone, NothingToDraw."""
    if not sources.needs_project(text):
        return
    for layer in _with_parts(sources.drawn_layers(text, project)):
        if layer.providerType() == "memory":
            raise NotForCluster(layer.name(), NotForClusterReason.MEMORY_LAYER)


def _with_parts(layers: Sequence[QgsMapLayer]) -> Iterator[QgsMapLayer]:
    """`layers`, those that they group, and those that they join."""
    for layer in layers:
        yield layer
        yield from _with_parts(layer.childLayers() if hasattr(layer, "childLayers") else [])
        if isinstance(layer, QgsVectorLayer):
            joined = (join.joinLayer() for join in layer.vectorJoins())
            yield from (each for each in joined if each is not None)


def _write_project(project: QgsProject, path: Path) -> None:
    """Write `project` as it is now, unsaved changes too, with whole paths. Raises NotForCluster.

    Nobody is told, and it is not saved by that: its own file, and its changes, stay as they were.
    """
    with _as_it_was(project):
        project.setFilePathStorage(Qgis.FilePathType.Absolute)
        if not project.write(str(path)):
            raise NotForCluster(str(path), NotForClusterReason.UNSAVED)


@contextmanager
def _as_it_was(project: QgsProject) -> Iterator[None]:
    was_silent = project.blockSignals(True)
    name, is_dirty, paths = project.fileName(), project.isDirty(), project.filePathStorage()
    try:
        yield
    finally:
        project.setFileName(name)
        project.setFilePathStorage(paths)
        project.setDirty(is_dirty)
        project.blockSignals(was_silent)


def _packed_plugin() -> bytes:
    """The plugin's Python as a zip, the same bytes for the same files."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        files = [PACKAGE / "__init__.py", *sorted((PACKAGE / "plugin").rglob("*.py"))]
        for file in files:
            name = f"tile_cache_manager/{file.relative_to(PACKAGE).as_posix()}"
            archive.writestr(zipfile.ZipInfo(name, _FIRST_DAY), file.read_bytes())
    return content.getvalue()
