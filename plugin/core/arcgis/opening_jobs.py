"""Which jobs a service is updated by: those of a caching task, or of a hosted layer."""

from __future__ import annotations

from ..description import CacheDescription
from ..site_update import SiteUpdate
from .address import ServiceAddress, service_of
from .caching_jobs import CachingTaskJobs
from .client import Client
from .hosted import HostedAdmin, find_management
from .hosted_jobs import HostedJobs
from .site_jobs import PartJobs


def find_jobs(client: Client, service: ServiceAddress, description: CacheDescription) -> PartJobs:
    """The jobs of `service` for a new update. Raises CachingUnavailable, SiteError."""
    found = find_management(client, service, description)
    if isinstance(found, HostedAdmin):
        return HostedJobs(client, found.url)
    return CachingTaskJobs(client, service, found.url, found)


def jobs_of(update: SiteUpdate, client: Client) -> PartJobs:
    """The jobs of an update that was begun earlier; nothing is sent. Raises AddressError."""
    if update.is_hosted:
        return HostedJobs(client, update.submit_url)
    return CachingTaskJobs(client, service_of(update.address), update.submit_url)
