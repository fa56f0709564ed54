"""The two versions of bundles, as stores that write them need them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Protocol

from . import bundle_care, bundle_care_v1
from .bundle_v1 import BundleV1, make_empty_v1
from .bundle_v2 import BundleV2, Index, make_bundle, make_empty, make_even_bundle
from .bundled import Bundle
from .byte_range import ByteRange
from .layout_v1 import INDEX_SUFFIX
from .store import Bools, Fault, Finding


class WritableBundle(Protocol):
    """A bundle of any version, open for writing."""

    part: ByteRange

    def index(self) -> Index: ...

    def append(self, tiles: Mapping[int, bytes]) -> None: ...

    def append_even(self, here: Bools, picture: bytes) -> None: ...

    def empty(self, here: Bools) -> int: ...

    def sync(self) -> None: ...

    def __enter__(self) -> Any: ...

    def __exit__(self, *_of_it: Any) -> None: ...


@dataclass(frozen=True)
class BundleKind:
    """What can be done with bundles of one version.

    `suffixes`: of its files, that of the bundle first. `make_empty(path)`: makes one without tiles,
    as far as it is not there. `mend(path, finding)`, `defragment(path)`: see `bundle_care`.
    """

    suffixes: tuple[str, ...]
    make_empty: Callable[[Path], None]
    mend: Callable[[Path, Finding], bool]
    defragment: Callable[[Path], int]

    @property
    def is_v1(self) -> bool:
        return len(self.suffixes) > 1

    def open(self, path: Path) -> Bundle:
        """To read it. Raises FileNotFoundError, DamagedCache, CacheInUse."""
        return BundleV1(path) if self.is_v1 else BundleV2(path)

    def open_to_write(self, path: Path) -> WritableBundle:
        """Raises FileNotFoundError, and as `storage_errors`."""
        if self.is_v1:
            return BundleV1(path, for_writing=True)
        return BundleV2(path, for_writing=True)

    def make(self, path: Path, tiles: Mapping[int, bytes]) -> None:
        """Make the bundle at `path`, of which not all is there, with `tiles` in it, by slot.

        Raises as `storage_errors`; TileTooLarge.
        """
        if not self.is_v1:
            make_bundle(path, tiles)
            return
        self.make_empty(path)
        with self.open_to_write(path) as bundle:
            bundle.append(tiles)

    def make_even(self, path: Path, here: Bools, picture: bytes) -> None:
        """Make it with one picture in all slots `here`, as `make`."""
        if not self.is_v1:
            make_even_bundle(path, here, picture)
            return
        self.make_empty(path)
        with self.open_to_write(path) as bundle:
            bundle.append_even(here, picture)

    def findings(self, bundle: Bundle, level_id: int, name: str) -> Iterator[Finding]:
        """What is wrong with a bundle that is open, called `name`."""
        if isinstance(bundle, BundleV1):
            return bundle_care_v1.findings_of_v1(bundle, level_id, name)
        if isinstance(bundle, BundleV2):
            return bundle_care.findings_of(bundle, level_id, name)
        return iter(())

    def index_missing(self, level_id: int, name: str) -> Finding:
        """What is wrong with the bundle `name`, of which only one file is there."""
        if self.is_v1:
            return bundle_care_v1.index_missing(level_id, name)
        return Finding(Fault.NOT_A_BUNDLE, level_id, name)

    def files(self, path: Path) -> list[Path]:
        """The files of the bundle at `path`."""
        return [path.with_suffix(suffix) for suffix in self.suffixes]


V1 = BundleKind(
    (".bundle", INDEX_SUFFIX),
    make_empty_v1,
    bundle_care_v1.mend_bundle_v1,
    bundle_care_v1.defragment_bundle_v1,
)
V2 = BundleKind((".bundle",), make_empty, bundle_care.mend_bundle, bundle_care.defragment_bundle)
