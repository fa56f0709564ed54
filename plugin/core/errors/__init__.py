"""Every error the core can raise, each holding plain data.

    TileCacheError
    ├─ AddressError                 the text is not the address of a cache
    ├─ SiteError                    something between us and the site
    │  ├─ SiteUnreachable           no answer at all
    │  ├─ SiteSilent                no answer just now
    │  ├─ NotArcGIS                 an answer, but not ArcGIS REST JSON
    │  ├─ SiteRefused               the site answered with an error of its own
    │  │  ├─ NotFound
    │  │  ├─ NotAllowed             signed in, without the right
    │  │  └─ SignInNeeded           no token, or one the site takes no longer
    │  └─ SignInFailed              user name or password not taken
    ├─ DescriptionError             a service describes itself in a way that cannot be used
    ├─ NotCached                    a service without a tile cache
    ├─ CachingUnavailable           the site offers no way to manage this cache
    ├─ RequestError                 what was asked cannot be done
    │  ├─ NoLevels · UnknownScale · BadScales · ModeNotOffered · BadInstances · ServiceChanged
    │  ├─ LevelsWithoutArea · EmptyArea · AreaOutside · BadExtent · BadArea · BadRules
    │  ├─ TooManyJobs
    │  └─ BadScheme · BadCacheOption · NothingToResume
    ├─ StorageError                 a cache on this computer
    │  ├─ NotACache                 no cache lies there
    │  ├─ DamagedCache              its files, or one of them, cannot be used
    │  ├─ HostileFile               a file made to do harm, or to look so
    │  ├─ ReadOnlyCache · CacheInUse · DiskFull · TargetExists · TargetProblem · TileTooLarge
    │  ├─ CannotPack                a format that cannot hold this tiling scheme
    │  └─ CachesDiffer              tiles of one cache that are no tiles of another
    ├─ SourceError                  what a cache is drawn from
    │  ├─ NothingToDraw             no layer, no such theme, no such file
    │  ├─ LayerFailed               a layer could not be drawn
    │  ├─ WorkersDied               one after the other, over the same bundle
    │  └─ FormatNotDrawn            the cache's tiles are in a format that cannot be drawn
    ├─ ClusterUnusable              no Dask, no scheduler, no workers
    ├─ WorkerUnfit                  a computer that would draw, or write, something else
    ├─ NotForCluster                an update that cannot be spread
    ├─ ExportError                  exporting from a service, or importing into one
    │  ├─ ExportNotAllowed · TooManyTiles
    │  └─ BadPackage · NoTileThere · NothingToImport
    ├─ ItemUnusable                 a portal's item that is no service
    ├─ ItemElsewhere                a portal's item whose service is not on a site of that portal
    ├─ SubmissionUnclear            a job that the site may have taken on, or not
    ├─ UnknownJob                   the text is not the address of a job
    └─ JobError                     a job on the site
       ├─ JobFailed
       ├─ JobSilent                 the site gives no answer just now
       ├─ JobStalled                no tile more has come of it for long
       ├─ JobSplit                  it failed, and is done in parts to find what fails
       ├─ JobLost                   it could not be followed to its end
       ├─ NotTakenUp                an ended one cannot be taken up again so
       ├─ FollowedElsewhere         another QGIS sees to it
       └─ CancelUnconfirmed

An error's attributes are for programs; sentences for people are made in `host/messages.py` only.
No attribute ever holds a password, a token or a URL with a query.
"""

from .cluster import (
    ClusterProblem,
    ClusterUnusable,
    NotForCluster,
    NotForClusterReason,
    WorkerProblem,
    WorkersDied,
    WorkerUnfit,
)
from .export import (
    BadPackage,
    BadPackageReason,
    ExportError,
    ExportNotAllowed,
    NothingToImport,
    NoTileThere,
    TooManyTiles,
)
from .job import (
    CancelUnconfirmed,
    FollowedElsewhere,
    JobError,
    JobFailed,
    JobLost,
    JobSilent,
    JobSplit,
    JobStalled,
    NotTakenUp,
    SubmissionUnclear,
    TakeUpProblem,
    UnknownJob,
)
from .request import (
    AreaOutside,
    BadArea,
    BadAreaReason,
    BadCacheOption,
    BadExtent,
    BadInstances,
    BadRules,
    BadScales,
    BadScheme,
    BadSchemeReason,
    EmptyArea,
    LevelsWithoutArea,
    ModeNotOffered,
    NoLevels,
    NothingToResume,
    RequestError,
    ServiceChanged,
    TooManyJobs,
    UnknownScale,
)
from .root import TileCacheError
from .site import (
    AddressError,
    CachingUnavailable,
    DescriptionError,
    ItemElsewhere,
    ItemUnusable,
    NotAllowed,
    NotArcGIS,
    NotCached,
    NotFound,
    SignInFailed,
    SignInNeeded,
    SignInProblem,
    SiteError,
    SiteRefused,
    SiteSilent,
    SiteUnreachable,
    Unavailable,
    Unreachable,
)
from .storage import (
    CacheInUse,
    CachesDiffer,
    CannotPack,
    CannotPackReason,
    DamagedCache,
    Differs,
    DiskFull,
    FormatNotDrawn,
    HostileFile,
    LayerFailed,
    NotACache,
    NotACacheReason,
    NothingToDraw,
    NothingToDrawReason,
    ReadOnlyCache,
    ReadOnlyReason,
    SourceError,
    StorageError,
    TargetExists,
    TargetProblem,
    TileTooLarge,
)

__all__ = [
    "AddressError",
    "AreaOutside",
    "BadArea",
    "BadAreaReason",
    "BadCacheOption",
    "BadExtent",
    "BadInstances",
    "BadPackage",
    "BadPackageReason",
    "BadRules",
    "BadScales",
    "BadScheme",
    "BadSchemeReason",
    "CacheInUse",
    "CachesDiffer",
    "CachingUnavailable",
    "CancelUnconfirmed",
    "CannotPack",
    "CannotPackReason",
    "ClusterProblem",
    "ClusterUnusable",
    "DamagedCache",
    "DescriptionError",
    "Differs",
    "DiskFull",
    "EmptyArea",
    "ExportError",
    "ExportNotAllowed",
    "FollowedElsewhere",
    "FormatNotDrawn",
    "HostileFile",
    "ItemElsewhere",
    "ItemUnusable",
    "JobError",
    "JobFailed",
    "JobLost",
    "JobSilent",
    "JobSplit",
    "JobStalled",
    "LayerFailed",
    "LevelsWithoutArea",
    "ModeNotOffered",
    "NoLevels",
    "NoTileThere",
    "NotACache",
    "NotACacheReason",
    "NotAllowed",
    "NotArcGIS",
    "NotCached",
    "NotForCluster",
    "NotForClusterReason",
    "NotFound",
    "NotTakenUp",
    "NothingToDraw",
    "NothingToDrawReason",
    "NothingToImport",
    "NothingToResume",
    "ReadOnlyCache",
    "ReadOnlyReason",
    "RequestError",
    "ServiceChanged",
    "SignInFailed",
    "SignInNeeded",
    "SignInProblem",
    "SiteError",
    "SiteRefused",
    "SiteSilent",
    "SiteUnreachable",
    "SourceError",
    "StorageError",
    "SubmissionUnclear",
    "TakeUpProblem",
    "TargetExists",
    "TargetProblem",
    "TileCacheError",
    "TileTooLarge",
    "TooManyJobs",
    "TooManyTiles",
    "Unavailable",
    "UnknownJob",
    "UnknownScale",
    "Unreachable",
    "WorkerProblem",
    "WorkerUnfit",
    "WorkersDied",
]
