"""What the algorithms have in common that change, export or import tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProject,
)

from ..core.arcgis.credentials import SignIn
from ..core.arcgis.transport import Transport
from ..core.cache import open_cache
from ..core.description import CacheDescription
from ..core.errors import AddressError, RequestError, TileCacheError
from ..core.local.source import TileSource
from ..core.tiling import Level
from ..host import areas, messages, network, shown_layers, sign_in, tasks
from . import area_values
from .algorithm import CacheAlgorithm
from .reading import Values

AUTH_CONFIG = "AUTH_CONFIG"
INPUT_SERVICE = "INPUT_SERVICE"
PORTAL_URL = "PORTAL_URL"


class TileAlgorithm(CacheAlgorithm):
    """Reads what is asked for, asks a cache what it is, works on tiles, has them shown anew.

    A subclass names the class that reads its `values` and the parameter of its `extent`, and says
    what is checked, prepared and done. In `prepare` it may set `drawing`, which is closed here
    where the work does not come to use it; once it works, `changed` is the cache whose layers in
    the project are drawn anew, also after an error.
    """

    values: ClassVar[type[Values]] = Values
    extent: ClassVar[str] = ""

    def __init__(self, reloading: shown_layers.Reloading | None = None) -> None:
        super().__init__()
        # That of the algorithm in the provider, made on the main thread; a model runs its parts,
        # and makes them, in a thread of its own.
        self._reloading = reloading or shown_layers.Reloading()

    # What subclasses say

    def check(self, values: Any) -> None:
        """Raises RequestError, AddressError for values that cannot be taken; not for the area."""

    def asked(self, values: Any) -> tuple[tuple[str, str], ...]:
        """The id of the sign-in details, and the address, of all that will be asked."""
        return ((values.text(AUTH_CONFIG), values.text(INPUT_SERVICE)),)

    def prepare(self, values: Any, project: QgsProject | None) -> None:
        """On the main thread: copies of what the work needs. Raises TileCacheError."""

    def work(self, values: Any, feedback: QgsProcessingFeedback) -> dict[str, Any]:
        """Do it, and give the results. Raises TileCacheError, areas.Cancelled."""
        raise NotImplementedError

    # What they can ask for

    def describe(self, address: str, feedback: QgsProcessingFeedback) -> CacheDescription:
        """What the cache at `address` is, told as well. Raises TileCacheError."""
        cache = open_cache(address, self._sign_in, self._transport, feedback.isCanceled)
        description = cache.describe()
        feedback.pushInfo(messages.summary(description))
        return description

    def areas_of(
        self,
        description: CacheDescription,
        levels: tuple[Level, ...],
        feedback: QgsProcessingFeedback,
    ) -> Any:
        """The area, or areas, that `levels` were asked for in, in the CRS of the cache.

        Raises RequestError.
        """
        return areas.resolve(self._area, description, feedback.isCanceled, levels)

    @property
    def area(self) -> areas.AreaSource:
        """What the area is made from."""
        return self._area

    @property
    def sign_in(self) -> SignIn | None:
        """Who asks the site."""
        return self._sign_in

    @property
    def transport(self) -> Transport:
        """How a site is asked."""
        return self._transport

    # QgsProcessingAlgorithm interface

    def createInstance(self) -> Any:
        return type(self)(self._reloading)

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        values = self.values(self, parameters, context)
        try:
            area_values.check(values, self.extent)
            self.check(values)
        except (RequestError, AddressError) as error:
            return False, messages.sentence(error)
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """On the main thread: sign-in, proxies, a snapshot of the area, what a subclass needs.

        What goes wrong is raised when the work begins: of what is raised here, `processing.run`
        tells a script nothing but that there were errors.
        """
        self._problem: TileCacheError | None = None
        self.drawing: TileSource | None = None
        self.changed: Path | None = None
        self._project = project = context.project()
        values = self.values(self, parameters, context)
        try:
            self._sign_in = sign_in.credentials(values.text(AUTH_CONFIG), values.text(PORTAL_URL))
            self._transport = network.transport_for(self.asked(values), values.text(PORTAL_URL))
            self._area = area_values.area(values, self.extent)
            self.prepare(values, project)
        except TileCacheError as error:
            self._problem = error
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        try:
            with tasks.closed_unless_used(self.drawing if self._problem is not None else None):
                if self._problem is not None:
                    raise self._problem
            return self.work(self.values(self, parameters, context), feedback)
        except areas.Cancelled:
            return {}
        except TileCacheError as error:
            # What was stored until then is to be seen; QGIS asks for nothing more after errors.
            self._show_anew()
            raise QgsProcessingException(messages.sentence(error)) from error
        finally:
            self.drawing = None  # closed by now, while this algorithm may live on

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """On the main thread: what draws the cache in the project draws its new tiles."""
        self._show_anew()
        return {}

    # own

    def _show_anew(self) -> None:
        if self._project is not None and self.changed is not None:
            self._reloading.ask(self._project, self.changed)
